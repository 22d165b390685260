package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Options configures Observe. Logger, Metrics and WriteError are required.
type Options struct {
	// Logger gets one line a request.
	Logger *zap.Logger
	// Metrics counts the requests.
	Metrics *Metrics
	// MaxBody is the most bytes that a handler can read from a body; reading on
	// gives *http.MaxBytesError. Zero or less means no limit.
	MaxBody int64
	// WriteError answers a request whose handler panicked; it gets a *PanicError.
	WriteError ErrorWriter
}

// PanicError is a recovered panic. Its text holds no more than the panic's value;
// the stack goes to the log.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the panic's value as text.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Observe wraps next: request id, body limit, recovery, log line and metrics. It
// must be the outermost handler of a door, and next must fill the request's Info.
func Observe(next http.Handler, opt Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		in := &Info{RequestID: newRequestID()}
		rec := &recorder{ResponseWriter: w}
		rec.Header().Set("X-Request-Id", in.RequestID)
		r = withInfo(r, in)
		if opt.MaxBody > 0 && r.Body != nil {
			r.Body = http.MaxBytesReader(rec, r.Body, opt.MaxBody)
		}
		opt.Metrics.inFlight.Inc()
		defer func() {
			opt.Metrics.inFlight.Dec()
			cut := recovered(recover(), rec, r, in, opt.WriteError)
			took := time.Since(start)
			opt.Metrics.observe(in, r.Method, rec.status, took)
			logRequest(opt.Logger, r, in, rec, took)
			if cut {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(rec, r)
		if rec.status == 0 { // a handler that writes nothing answers 200
			rec.status = http.StatusOK
		}
	})
}

// recovered deals with what recover returned. It says whether the connection has
// to be cut.
func recovered(v any, rec *recorder, r *http.Request, in *Info, write ErrorWriter) (cut bool) {
	if v == nil {
		return false
	}
	if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		in.Err = &PanicError{Value: v, Stack: debug.Stack()}
		if rec.status == 0 {
			write(rec, r, in.Err)
			return false
		}
	}
	return true
}

// logRequest writes the one line of a request. Nothing that the client chose
// freely is in it: no path, no query, no header, no body.
func logRequest(log *zap.Logger, r *http.Request, in *Info, rec *recorder, took time.Duration) {
	level := zapcore.InfoLevel
	// 501 is about the request: it asked for what there is not. The alert leaves it out as well.
	if rec.status >= http.StatusInternalServerError && rec.status != http.StatusNotImplemented {
		level = zapcore.ErrorLevel
	}
	entry := log.Check(level, "request")
	if entry == nil {
		return
	}
	fields := [10]zap.Field{
		zap.String("request_id", in.RequestID),
		zap.String("method", methodLabel(r.Method)),
		zap.String("route", in.Route),
		zap.Int("status", rec.status),
		zap.Float64("duration_ms", float64(took.Microseconds())/1000),
		zap.String("credential", in.Credential),
		zap.String("source", in.Source),
		zap.Int64("bytes", rec.bytes),
	}
	n := 8
	if in.Err != nil {
		fields[n] = zap.NamedError("err", in.Err)
		n++
		if p, ok := errors.AsType[*PanicError](in.Err); ok {
			fields[n] = zap.ByteString("stack", p.Stack)
			n++
		}
	}
	entry.Write(fields[:n]...)
}
