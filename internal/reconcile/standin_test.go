package reconcile_test

import (
	"context"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// standIn is one more Matomo beside the world's own.
type standIn struct {
	name   string
	server *matomotest.Server
}

func newStandIn(name string) standIn {
	return standIn{name: name, server: matomotest.New(matomotest.Options{})}
}

// target returns the options of a target like another one, on this stand-in.
func (s standIn) target(tb testing.TB, like reconcile.TargetOptions, mode reconcile.Mode) reconcile.TargetOptions {
	tb.Helper()
	client, err := matomo.New(matomo.Options{
		Name: s.name, URL: "http://" + s.name + ".test/", Login: "bridge", Transport: s.server.RoundTripper(),
		Token:    func() (string, error) { return s.server.Token(), nil },
		Password: func() (string, error) { return s.server.Password(), nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	like.Name, like.Mode, like.Client = s.name, mode, client
	return like
}

func sites(n int) func(*matomotest.Options) { return func(o *matomotest.Options) { o.Sites = n } }

// The faults that tests set, once each unless they say otherwise.
func refusal(method string) matomotest.Fault {
	return matomotest.Fault{Kind: matomotest.Refused, Method: method, Message: "An unexpected error occurred."}
}

func cutAfter(method string) matomotest.Fault {
	return matomotest.Fault{Kind: matomotest.CutAfter, Method: method, Count: 1}
}

func cutBefore(method string) matomotest.Fault {
	return matomotest.Fault{Kind: matomotest.CutBefore, Method: method}
}

func mailError() matomotest.Fault {
	return matomotest.Fault{Kind: matomotest.MailError, Method: "UsersManager.updateUser"}
}

// run starts the engine's loop; stop ends it and waits for it.
func (w *world) run() (stop func()) { return w.runEngine(w.engine) }

// runEngine does so for any engine on this world.
func (w *world) runEngine(e *reconcile.Engine) (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// exec changes the database behind everybody's back.
func (w *world) exec(query string, args ...any) {
	w.tb.Helper()
	w.inTx(func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

// emptyDB is a database in which nobody is.
func (w *world) emptyDB() *database.DB {
	w.tb.Helper()
	return databasetest.SQLite(w.tb)
}
