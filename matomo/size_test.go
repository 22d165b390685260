package matomo_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// bigAnswer writes what a Matomo with that many users answers to a read of everything: nearly twelve sites each, so that
// 100,000 users make the measured 37 MB. It is written while it is read, so that it never lies in memory.
func bigAnswer(out io.Writer, users int) {
	w := bufio.NewWriterSize(out, 64<<10)
	defer w.Flush()
	w.WriteString(`[{"value":true},{"value":"5.1.2"},[{"id":"tagmanager_write","includedInRoles":["write","admin"]}],{"value":true},{`)
	for i := range 50 {
		fmt.Fprintf(w, `%s"%d":{"idsite":%d,"name":"Site %d","main_url":"https://example.org","group":""}`, comma(i), i+1, i+1, i+1)
	}
	w.WriteString(`},[`)
	for i := range users {
		fmt.Fprintf(w, `%s{"login":"first.last%06d","email":"first.last%06d@example.org","superuser_access":0,"date_registered":"2026-11-23 08:40:45","invited_by":null,`+
			`"invite_expired_at":null,"invite_accept_at":null,"invite_status":"active","uses_2fa":false}`, comma(i), i, i)
	}
	w.WriteString(`]`)
	for level, rows := range []int{8, 2, 1, 1} {
		w.WriteString(`,{`)
		for i := range users {
			fmt.Fprintf(w, `%s"first.last%06d":[`, comma(i), i)
			for k := range rows {
				fmt.Fprintf(w, `%s%d`, comma(k), (i+k+level*10)%50+1)
			}
			w.WriteString(`]`)
		}
		w.WriteString(`}`)
	}
	w.WriteString(`]`)
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

const bigProbe = `[{"value":true},{"value":"5.1.2"},[{"id":"tagmanager_write","includedInRoles":["write","admin"]}],{"value":true}]`

// bigMatomo answers the probe, and then reads of everything; look is called after every megabyte.
func bigMatomo(users int, look func()) http.RoundTripper {
	first := true
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if first {
			first = false
			return answers(http.StatusOK, nil, bigProbe).RoundTrip(r)
		}
		pr, pw := io.Pipe()
		go func() {
			bigAnswer(pw, users)
			pw.Close()
		}()
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: &watched{ReadCloser: pr, look: look}, Request: r}, nil
	})
}

// watched calls look after every megabyte that was read.
type watched struct {
	io.ReadCloser
	look func()
	n    int
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if w.n += n; w.n > 1<<20 {
		w.n = 0
		w.look()
	}
	return n, err
}

// A read of 100,000 users fits into 150 MB with everything else the process has.
func TestRead_MemoryOf100000Users(t *testing.T) {
	var peak uint64
	look := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.Sys-m.HeapReleased)
	}
	debug.FreeOSMemory()
	b := newBench(t, matomotest.Options{})
	b.wire.next = bigMatomo(100000, look)
	s, err := b.c.ReadInstance(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	look()
	if s.Len() != 100000 || s.Strays() != 0 {
		t.Fatalf("%d accounts, %d strays", s.Len(), s.Strays())
	}
	if a, _ := s.Account("FIRST.LAST099999"); len(a.Access.Sites) < 8 || a.Email != "first.last099999@example.org" {
		t.Errorf("the last one: %+v", a)
	}
	t.Logf("peak %d MB", peak>>20)
	if peak > 150<<20 {
		t.Errorf("peak of %d MB, want at most 150", peak>>20)
	}
	runtime.KeepAlive(s)
}

func BenchmarkReadInstance_100000Users(b *testing.B) {
	bench := newBench(b, matomotest.Options{})
	bench.wire.next = bigMatomo(100000, func() {})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bench.c.ReadInstance(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot_Each100000(b *testing.B) {
	bench := newBench(b, matomotest.Options{})
	bench.wire.next = bigMatomo(100000, func() {})
	s, err := bench.c.ReadInstance(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := 0
		for a := range s.Each() {
			n += len(a.Access.Sites)
		}
		if n < 800000 {
			b.Fatal(n)
		}
	}
}

// 10,000 people on 50 sites: every tenth has to move.
func BenchmarkPlan_10000PeopleOn50Sites(b *testing.B) {
	pol := policy()
	pol.Sites = nil
	wanted := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	for i := range 50 {
		id := access.SiteID(i + 1)
		pol.Sites = append(pol.Sites, id)
		wanted.Sites[id] = access.SiteAccess{Role: access.View}
	}
	moved := wanted.Clone()
	moved.Sites[7] = access.SiteAccess{Role: access.Admin}
	delete(moved.Sites, 8)
	for b.Loop() {
		steps := 0
		for i := range 10000 {
			w := matomo.Want{Login: "alice", Email: "alice@example.test", Access: wanted, WithoutSuperuser: wanted}
			if i%10 == 0 {
				w.Access, w.WithoutSuperuser = moved, moved
			}
			have := matomo.Account{Login: "alice", Email: "alice@example.test", Exists: true, Access: wanted, OrphansKnown: true}
			steps += len(matomo.PlanPerson(w, have, pol).Steps)
		}
		if steps != 2000 {
			b.Fatal(steps)
		}
	}
}

func BenchmarkApply_1000Movers(b *testing.B) {
	bench := newBench(b, matomotest.Options{ForgetCalls: true})
	plans := make([]matomo.Plan, 1000)
	for i := range plans {
		l := fmt.Sprintf("user%04d", i)
		bench.add(b, l)
		plans[i] = matomo.Plan{Login: l, Steps: []matomo.Step{{Kind: matomo.SetAccess, Login: l, Role: access.View, Sites: ids(1, 2)}}}
	}
	for b.Loop() {
		for _, r := range bench.c.Apply(context.Background(), plans) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	if !strings.Contains(bench.wire.last().url, "getBulkRequest") {
		b.Fatal("no bulk")
	}
}
