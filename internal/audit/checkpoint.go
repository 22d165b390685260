package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
)

// Whoever can write to the database can write a whole new chain, and its hashes will be right. A
// checkpoint is a signed note of how long the chain was at a time, and of its last hash. Kept where
// that person cannot write (shipped with the logs, on another machine, printed), it proves every entry
// up to that number: no other chain of that length has that hash.
//
// The notes are linked as well, each to the hash of the one before, so that one cannot be taken out
// of the middle of the file. The key proves that the bridge wrote them: somebody with the database
// but without the key cannot make notes that fit a new chain.

// What that does not prove: that something which never got into the record happened, and anything
// about entries that are younger than the last note. How often notes are written, and how soon they
// leave this machine, bounds what an attacker can rewrite without being noticed.
//
// The key is an ed25519 key in the forms that openssl writes, so that an auditor can make, keep and
// replace it with tools of their own, and check a note without this program: the signature covers
// the purpose and the line with its last field taken out.

// Checkpoint is one signed note, one line of the file.
type Checkpoint struct {
	At        string `json:"at"`
	Entries   int64  `json:"entries"`             // how many entries the chain had
	Head      string `json:"head"`                // the hash of the last one, in hex
	Previous  string `json:"previous"`            // SHA-256 of the line before without its line end, in hex; empty in the first
	Signature string `json:"signature,omitempty"` // ed25519 over signedText, in base64
}

// purpose stands before everything that is signed, so that no other program's text of the same form
// could be passed off as a note, or the other way round.
const purpose = "matomo-scim-bridge audit checkpoint\n"

// signedText is what the signature covers: the purpose, and the line without its signature.
func (c Checkpoint) signedText() []byte {
	c.Signature = ""
	return append([]byte(purpose), c.text()...)
}

// text is the line as it is written.
func (c Checkpoint) text() []byte {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and a number always encode
	}
	return text
}

// lineHash is what the next note is linked to.
func lineHash(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// NewKey makes a key for checkpoints: the private one as PKCS #8 and the public one as PKIX, both in
// PEM, which is what openssl writes too.
func NewKey() (private, public []byte, err error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	pubDER, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	private = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pubDER}), nil
}

// Errors about keys say what is wrong with the file and never what is in it: the library's own would quote
// bytes of a private key that is damaged.

// ParsePrivateKey reads a private ed25519 key in PEM (PKCS #8).
func ParsePrivateKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("this is no private key in PEM (PKCS #8); make one with: matomo-scim-bridge audit key FILE")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the private key cannot be read: it is damaged, or of a kind that is not known")
	}
	if k, ok := key.(ed25519.PrivateKey); ok {
		return k, nil
	}
	return nil, fmt.Errorf("the key is a %T, and an ed25519 key is needed", key)
}

// ParsePublicKeys reads public ed25519 keys in PEM (PKIX). There are several when the key was
// replaced: in the order in which they were in use.
func ParsePublicKeys(text []byte) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for len(keys) == 0 || len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "PUBLIC KEY" {
			return nil, errors.New("this is no public key in PEM; it is the .pub file beside the private key")
		}
		key, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		keys, text = append(keys, key), rest
	}
	return keys, nil
}

// publicKey is the key in a block.
func publicKey(block *pem.Block) (ed25519.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if k, ok := key.(ed25519.PublicKey); ok {
		return k, nil
	}
	return nil, fmt.Errorf("the key is a %T, and an ed25519 key is needed", key)
}

// One process writes one file. Replicas have a file each and sign the same chain; each file is linked in itself,
// and each proves as much as it covers.

// Checkpoints writes signed notes about a log to one file. Its methods may be called by several
// goroutines. Two processes must not share a file.
type Checkpoints struct {
	log   *Log
	path  string
	key   func() (ed25519.PrivateKey, error)
	every time.Duration

	last    prometheus.Gauge
	failing prometheus.Counter
	told    func(error) // nil: nobody asks

	mu sync.Mutex // guards the file
}

// A note is about the sealed chain, so what waits is sealed first. It is written when the chain has
// grown and not otherwise: a quiet bridge does not fill a file with the same line.

// NewCheckpoints returns the notes about l in the file at path, one every so often. The key is
// asked for at each note, so that a new one needs no restart. Metrics are registered with reg, which
// may be nil.
func NewCheckpoints(l *Log, path string, every time.Duration, key func() (ed25519.PrivateKey, error), reg prometheus.Registerer) *Checkpoints {
	return &Checkpoints{
		log: l, path: path, key: key, every: every,
		last: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
			Name: "scim_bridge_audit_checkpoint_timestamp_seconds",
			Help: "When the chain was last found to be covered by a signed checkpoint.",
		}),
		failing: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "scim_bridge_audit_checkpoint_failures_total",
			Help: "Signed checkpoints that could not be written.",
		}),
	}
}

// OnWrite has Run call f after each attempt, with nil when the chain is covered. Call it before Run.
func (c *Checkpoints) OnWrite(f func(error)) { c.told = f }

// A note that cannot be written holds up nothing: the record itself is whole, and the next note covers what
// this one would have. It is counted, because a file that nobody fills is one that nobody should trust.

// Run writes a note at once, then one every so often while the chain grows, and a last one when ctx
// ends.
func (c *Checkpoints) Run(ctx context.Context) {
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	for {
		_, err := c.Write(context.WithoutCancel(ctx))
		if err != nil {
			c.failing.Inc()
			c.log.log.Error("write a signed checkpoint of the audit chain; it is tried again", zap.Error(err))
		}
		if c.told != nil {
			c.told(err)
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Write seals what waits and appends a note about the chain as it is now, durably. It returns false
// when the last note says that already.
func (c *Checkpoints) Write(ctx context.Context) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.log.Seal(ctx); err != nil {
		return false, err
	}
	// Read after sealing and before signing: what is sealed later is the next note's.
	head, err := c.log.head(ctx)
	if err != nil {
		return false, err
	}
	key, err := c.key()
	if err != nil {
		return false, fmt.Errorf("checkpoint: %w", err)
	}
	wrote, err := c.appendLocked(head, key)
	if err != nil {
		return false, fmt.Errorf("checkpoint: %w", err)
	}
	c.last.SetToCurrentTime()
	return wrote, nil
}

// appendLocked adds a line for head to the file, unless its last line is about head.
func (c *Checkpoints) appendLocked(head link, key ed25519.PrivateKey) (wrote bool, err error) {
	f, err := openAppend(c.path, 0o644)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	last, err := lastLine(f)
	if err != nil {
		return false, err
	}
	// The time is that of this machine. It is for people; what the note proves is the order.
	next := Checkpoint{At: time.Now().UTC().Format(timeFormat), Entries: head.seq, Head: hex.EncodeToString(head.hash)}
	if last != nil {
		var before Checkpoint
		if json.Unmarshal(last, &before) == nil && before.Entries == next.Entries && before.Head == next.Head {
			return false, nil
		}
		next.Previous = lineHash(last)
	}
	next.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, next.signedText()))
	if _, err := f.Write(append(next.text(), '\n')); err != nil {
		return false, err
	}
	return true, f.Sync()
}

// Appending is all that these files need, and all that an append-only file system (chattr +a) allows; cutting
// off an unfinished line is the exception, and only a crash leaves one.

// openAppend opens a file to be read and appended to. A new one is durable when this returns: what
// is written into a file that a crash takes away is not kept.
func openAppend(path string, mode os.FileMode) (*os.File, error) {
	_, missing := os.Stat(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, mode)
	if err != nil || missing == nil {
		return f, err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// maxLine is more than any line of the file is long.
const maxLine = 4096

// lastLine returns the last whole line of f without its end; nil when there is none. What a crash
// left of an unfinished line is cut off: nobody was told that it is there.
func lastLine(f *os.File) ([]byte, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	from := max(0, size-2*maxLine) // a whole line and an unfinished one
	data := make([]byte, size-from)
	if _, err := f.ReadAt(data, from); err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	if end == 0 && from > 0 {
		return nil, fmt.Errorf("%s does not hold checkpoints", f.Name())
	}
	if end < len(data) {
		if err := f.Truncate(from + int64(end)); err != nil {
			return nil, err
		}
	}
	whole := bytes.TrimSuffix(data[:end], []byte("\n"))
	if last := whole[bytes.LastIndexByte(whole, '\n')+1:]; len(last) > 0 {
		return last, nil
	}
	return nil, nil
}

// CheckpointReport is the result of VerifyCheckpoints.
type CheckpointReport struct {
	Notes    int       // whole lines of the file
	Entries  int64     // how far the last good note reaches
	At       time.Time // when that was written
	Problems []Problem // in the order of the file; Seq is the number of entries that a note speaks of
}

// Three things are asked of each line, and the first that does not hold is the line's problem: did the bridge
// write it, does it stand where it was written, and is the chain still the one it speaks of? The first two
// are about the file and need no database; an auditor can ask them with any ed25519 tool.
//
// A file of which lines were taken off the end proves less and shows nothing: its last note is older than it
// should be. The time of the last note is therefore part of the report.

// VerifyCheckpoints proves the chain against signed notes that were kept elsewhere: each must be
// signed with a key that belongs to one of public, follow the one before, and name the hash that the
// entry of its number has. The keys are in the order in which they were in use: one that was replaced,
// perhaps because somebody has it who should not, signs nothing after its successor did. Call Verify
// besides: a note proves the chain up to its number only if the chain is whole. Its error is about reading.
func (l *Log) VerifyCheckpoints(ctx context.Context, notes io.Reader, public ...ed25519.PublicKey) (CheckpointReport, error) {
	var report CheckpointReport
	var before []byte
	var reached int64
	lines := bufio.NewReader(notes)
	for number := 1; len(report.Problems) < maxProblems; number++ {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return report, nil // an unfinished line was cut off by a crash: no note
		}
		if err != nil {
			return report, fmt.Errorf("read checkpoints: %w", err)
		}
		text = bytes.TrimSuffix(text, []byte("\n"))
		note, key, problem := checkNote(text, before, public, reached)
		if problem == nil {
			public = public[key:]
			if problem, err = l.compareNote(ctx, note); err != nil {
				return report, err
			}
		}
		report.Notes++
		// The next line is held against this one whatever is wrong with it, so that one forged line is
		// one problem and not two.
		before = text
		if problem != nil {
			problem.Detail = fmt.Sprintf("line %d of the checkpoints: %s", number, problem.Detail)
			report.Problems = append(report.Problems, *problem)
			continue
		}
		reached = note.Entries
		report.Entries = note.Entries
		report.At, _ = time.Parse(timeFormat, note.At) // the signature covers what we wrote
	}
	return report, nil
}

// checkNote judges a line by itself and by the line before it, and says which key signed it.
func checkNote(text, before []byte, public []ed25519.PublicKey, reached int64) (c Checkpoint, key int, _ *Problem) {
	if err := json.Unmarshal(text, &c); err != nil {
		return c, 0, &Problem{Fault: Forged, Detail: "it is no checkpoint"}
	}
	p := &Problem{Fault: Forged, Seq: c.Entries}
	// The text must be what we would write, byte for byte: an unknown field, or a field twice, would
	// otherwise be something that the signature does not cover.
	// Base64 has several spellings of the same bytes as well (spare bits at the end, line ends).
	signature, err := base64.StdEncoding.DecodeString(c.Signature)
	spelled := base64.StdEncoding.EncodeToString(signature)
	key = slices.IndexFunc(public, func(k ed25519.PublicKey) bool { return ed25519.Verify(k, c.signedText(), signature) })
	previous := ""
	if before != nil {
		previous = lineHash(before)
	}
	switch {
	case err != nil || spelled != c.Signature || key < 0 || !bytes.Equal(c.text(), text):
		p.Detail = "it is not signed with this key"
	case c.Previous != previous:
		p.Detail = "it does not follow the line before it: lines were taken out, added or moved"
	case c.Entries < reached:
		p.Detail = fmt.Sprintf("the chain had %d entries before it and only %d then", reached, c.Entries)
	default:
		return c, key, nil
	}
	return c, 0, p
}

// compareNote looks whether the chain has the entry that a note names.
func (l *Log) compareNote(ctx context.Context, c Checkpoint) (*Problem, error) {
	// The number is looked up in the chain as it is now. Whether the entries before it are those that
	// lead to this hash is for Verify.
	hash := make([]byte, sha256.Size) // of the empty chain
	if c.Entries > 0 {
		err := l.db.Reader().QueryRow(ctx, `SELECT hash FROM audit WHERE seq = $1`, c.Entries).Scan(&hash)
		if errors.Is(err, sql.ErrNoRows) {
			return &Problem{Fault: Cut, Seq: c.Entries, Detail: "the chain had this entry at " + c.At + " and has it no more"}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read audit entry %d: %w", c.Entries, err)
		}
	}
	if hex.EncodeToString(hash) != c.Head {
		return &Problem{
			Fault: Rewritten, Seq: c.Entries,
			Detail: fmt.Sprintf("the entry had the hash %.12s… at %s and has %.12s… now: it, or one before it, was written anew", c.Head, c.At, hex.EncodeToString(hash)),
		}, nil
	}
	return nil, nil
}
