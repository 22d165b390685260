// Package journal keeps what each source sent last and what it was answered, so that
// an administrator who reads no more than "400" at the identity provider can see why.
//
// Rules of this package:
//
//   - It is off unless asked for, source by source: bodies are about people.
//   - It is bounded: so many requests a source, so many bytes each, and days after which they go.
//   - It never keeps a request waiting and never fails one: what it cannot keep up with is dropped, and counted.
//   - Passwords and secrets are taken out before anything is stored. What cannot be read well enough for that is not
//     stored at all.
//
// It is no audit trail: that one says what was changed, for ever, and is in the
// transaction of the change.
package journal

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/database"
)

// Source is what is kept of one source.
type Source struct {
	// Requests is how many are kept, the newest ones.
	Requests int
	// Bodies says whether what was sent and answered is kept too.
	Bodies bool
	// Keep is how long; zero is no limit.
	Keep time.Duration
}

// Options configures New. All are required.
type Options struct {
	DB *database.DB
	// Sources are those with a journal, by name. What other sources left behind is
	// removed.
	Sources map[string]Source
	Logger  *zap.Logger
	// Registerer takes the metric.
	Registerer prometheus.Registerer
}

// Entry is one request and its answer.
type Entry struct {
	// ID sorts as the requests ended; RequestID is the one of the answer's
	// X-Request-Id, the log and the audit trail.
	ID        string        `json:"-"`
	RequestID string        `json:"request_id"`
	At        time.Time     `json:"at"`
	Took      time.Duration `json:"took_ns"`
	Source    string        `json:"source"`
	// Credential is the name of the credential used, Address where it was used from.
	Credential string `json:"credential"`
	Address    string `json:"address"`
	UserAgent  string `json:"user_agent"`
	Method     string `json:"method"`
	// Path has the query, without secrets.
	Path string `json:"path"`
	// Status is that of the answer; 0 when the connection was cut instead.
	Status int `json:"status"`
	// SCIMType, Attribute and Detail say what was wrong; Detail says more than the
	// answer did.
	SCIMType  string `json:"scim_type,omitempty"`
	Attribute string `json:"attribute,omitempty"`
	Detail    string `json:"detail,omitempty"`
	// RequestBody and AnswerBody are what was sent, without secrets; empty when
	// bodies are not kept.
	RequestBody string `json:"request_body,omitempty"`
	AnswerBody  string `json:"answer_body,omitempty"`

	sent, answered body // until they are written
}

// Reason is why a request was answered as it was.
type Reason struct {
	// Address is where it came from; not valid when that is not known.
	Address netip.Addr
	// SCIMType, Attribute and Detail are empty for a request that went well.
	SCIMType, Attribute, Detail string
}

// An entry goes through three hands. The request fills it while it runs (record.go), a
// queue takes it without waiting, and one goroutine makes it fit to be kept and writes it
// (write.go). Searching bodies for secrets is work, so it is that goroutine's, and not
// the request's. Nothing is shown or stored before it was done.

// queueLength bounds what waits to be written, and with maxBody the memory for it.
const queueLength = 256

// Journal records requests and writes them. Its methods may be called concurrently.
type Journal struct {
	db      *database.DB
	sources map[string]Source
	log     *zap.Logger
	queue   chan *Entry
	dropped prometheus.Counter
}

// New returns a journal; nothing is written before Run.
func New(opt Options) *Journal {
	j := &Journal{
		db: opt.DB, sources: map[string]Source{}, log: opt.Logger, queue: make(chan *Entry, queueLength),
		dropped: promauto.With(opt.Registerer).NewCounter(prometheus.CounterOpts{
			Name: "scim_bridge_journal_dropped_total",
			Help: "Requests that are not in the request journal because the database did not keep up.",
		}),
	}
	// A source with room for none has no journal: what it left behind goes.
	for name, s := range opt.Sources {
		if s.Requests > 0 {
			j.sources[name] = s
		}
	}
	return j
}
