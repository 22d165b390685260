package matomo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func TestClient_SecretsAreNowhere(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	echo := roundTrip(func(r *http.Request) (*http.Response, error) { // a proxy that shows what it was sent
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		var page strings.Builder
		if _, err := copyAll(&page, body); err != nil {
			return nil, err
		}
		return answers(http.StatusInternalServerError, nil, page.String()).RoundTrip(r)
	})
	c := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport = echo })
	_, err := c.c.ReadInstance(context.Background())
	texts := []string{err.Error(), fmt.Sprintf("%+v", c.c.Health())}
	err = c.c.ProvePassword(context.Background())
	texts = append(texts, err.Error(), fmt.Sprintf("%+v %v", err, errors.Unwrap(err)))
	for _, l := range c.log.All() {
		texts = append(texts, fmt.Sprint(l.Message, l.ContextMap()))
	}
	b.token.set("another-token-000000", nil)
	_, err = b.c.ReadInstance(context.Background())
	texts = append(texts, err.Error())
	for _, text := range texts {
		for _, s := range []string{b.Token(), b.Password(), "another-token"} {
			if strings.Contains(text, s) {
				t.Errorf("secret in %q", text)
			}
		}
	}
}

func TestClient_SecretsThatCannotBeRead(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.accounts(t, matomo.Read{})
	before := b.Requests()
	for _, set := range []func(){
		func() { b.token.set("", errors.New("no such file")) },
		func() { b.token.set("\n", nil) },
	} {
		set()
		_, err := b.c.ReadInstance(context.Background())
		wantKind(t, err, matomo.SecretMissing)
	}
	if b.Requests() != before {
		t.Error("something was sent without a token")
	}
	b.token.set(b.Token()+"\r\n", nil)
	b.accounts(t, matomo.Read{})

	none := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Password = nil })
	if none.c.HasPassword() || none.c.Health().PasswordBad {
		t.Error("no password, and yet there is one")
	}
	wantKind(t, none.c.ProvePassword(context.Background()), matomo.NeedsPassword)
}

// atOnce calls f from many goroutines at once, on an instance that takes a second for each answer.
func atOnce(t *testing.T, prepare func(b *bench), f func(t *testing.T, b *bench)) {
	t.Helper()
	for _, v := range versions {
		synctest.Test(t, func(t *testing.T) {
			var b *bench
			slow := roundTrip(func(r *http.Request) (*http.Response, error) {
				answer, err := b.wire.RoundTrip(r)
				time.Sleep(time.Second)
				return answer, err
			})
			b = newBench(t, matomotest.Options{Version: v}, func(o *matomo.Options) { o.Transport = slow })
			prepare(b)
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() { f(t, b) })
			}
			wg.Wait()
		})
	}
}

func TestClient_AWrongTokenIsSentOnceWhoeverAsks(t *testing.T) {
	atOnce(t, func(b *bench) { b.token.set("0123456789abcdef0123456789abcdef", nil) }, func(t *testing.T, b *bench) {
		_, err := b.c.ReadInstance(t.Context())
		wantKind(t, err, matomo.BadToken)
		if n := b.Requests(); n != 1 {
			t.Errorf("%d requests with a wrong token", n)
		}
	})
}

func TestClient_AWrongPasswordIsSentOnceWhoeverAsks(t *testing.T) {
	atOnce(t, func(b *bench) { b.password.set("wrong", nil) }, func(t *testing.T, b *bench) {
		wantKind(t, b.c.ProvePassword(t.Context()), matomo.WrongPassword)
		if n := b.FailedLogins("127.0.0.1"); n != 1 {
			t.Errorf("%d failed logins", n)
		}
	})
}

// Good secrets are not waited for: what was accepted once is used side by side.
func TestClient_ProvenSecretsAreUsedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		slow := roundTrip(func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return b.wire.RoundTrip(r)
		})
		b = newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport = slow })
		if err := b.c.ProvePassword(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.accounts(t, matomo.Read{})
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := b.c.ProvePassword(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("ten requests took %s", took)
		}
	})
}

// A secret that is replaced while the old one is on its way is not taken for the one that was refused.
func TestClient_ASecretReplacedMeanwhileIsNotBlamed(t *testing.T) {
	for _, v := range versions {
		var b *bench
		var replace func()
		slow := roundTrip(func(r *http.Request) (*http.Response, error) {
			answer, err := b.wire.RoundTrip(r)
			replace()
			return answer, err
		})
		b = newBench(t, matomotest.Options{Version: v}, func(o *matomo.Options) { o.Transport = slow })

		b.token.set("0123456789abcdef0123456789abcdef", nil)
		replace = func() { b.token.set(b.Token(), nil) }
		_, err := b.c.ReadInstance(t.Context())
		wantKind(t, err, matomo.BadToken)
		b.accounts(t, matomo.Read{})

		b.password.set("wrong", nil)
		replace = func() { b.password.set(b.Password(), nil) }
		wantKind(t, b.c.ProvePassword(t.Context()), matomo.WrongPassword)
		if err := b.c.ProvePassword(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Whoever waits for the first answer gives up when it is told to.
func TestClient_WaitingForAFirstAnswerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		b := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport = hang })
		go func() { _, _ = b.c.ReadInstance(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := b.c.ReadInstance(ctx)
		if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %s", err, took)
		}
		time.Sleep(time.Minute)
	})
}
