package matomo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

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
