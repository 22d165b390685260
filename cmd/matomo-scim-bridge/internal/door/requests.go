package door

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// Why the identity provider shows "400": it does not show the answer's detail, so an
// administrator reads here what was sent, what was answered and why. Nothing is there
// unless the source has a journal (journal.requests in the configuration).

// Requests shows the request journal.
func Requests(h Host) *cobra.Command {
	var q app.JournalQuery
	var since string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "requests",
		Short: "Show what identity providers sent last, and why it was refused",
		Long: `Show the request journal, the newest request first: what was sent, what was
answered and why. With --id everything that is known of one request, bodies
included; the id is in the answer's X-Request-Id, in the log and in the audit trail.

A source has a journal when the configuration says so:
  sources: [{name: entra, journal: {requests: 500, bodies: true}}]`,
		Example: `  matomo-scim-bridge requests --source entra --failed --since 1h
  matomo-scim-bridge requests --id 8f0c5a3e9b7d2146`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since != "" {
				from, err := pointInTime(since, time.Now(), true)
				if err != nil {
					return fmt.Errorf("--since: %w", err)
				}
				q.Since = from
			}
			if q.Limit < 1 || q.Limit > 10_000 {
				return errors.New("--limit: use a number from 1 to 10000")
			}
			return h.Open(cmd.Context(), true, func(ctx context.Context, s *app.Services) error {
				return h.requests(ctx, s, q, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&q.Source, "source", "", "only those of this source")
	cmd.Flags().BoolVar(&q.Failed, "failed", false, "only those that were answered with an error")
	cmd.Flags().StringVar(&since, "since", "", "only those of the last 1h, 30m, 2d, or since a date")
	cmd.Flags().StringVar(&q.RequestID, "id", "", "one request, with all that is known of it")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "most to show")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with bodies")
	return cmd
}

// requests prints what the query finds, or why there is nothing.
func (h Host) requests(ctx context.Context, s *app.Services, q app.JournalQuery, asJSON bool) error {
	if q.Source != "" {
		if _, err := SourceName(s.Config, q.Source); err != nil {
			return err
		}
	}
	found, err := s.Requests.List(ctx, q)
	if err != nil {
		return err
	}
	if asJSON {
		if found == nil {
			found = []app.JournalEntry{} // a list, never null
		}
		return h.printJSON(found)
	}
	p := &view{h.Printer()}
	for _, e := range found {
		p.request(e, q.RequestID != "")
	}
	if len(found) == 0 {
		_, _ = fmt.Fprintln(h.Stderr, nothingFound(s.Config, q))
	}
	return p.Err()
}

// nothingFound says why the list is empty, as far as the configuration knows.
func nothingFound(cfg *config.Config, q app.JournalQuery) string {
	kept := slices.ContainsFunc(cfg.Sources, func(s config.Source) bool {
		return s.Journal.Requests > 0 && (q.Source == "" || q.Source == s.Name)
	})
	if !kept {
		return "the request journal is off: set journal: {requests: 500} for the source and restart the bridge"
	}
	return "no request in the journal fits"
}

// view prints requests.
type view struct{ *terminal.Printer }

// request prints one request; whole with all that is known.
func (p *view) request(e app.JournalEntry, whole bool) {
	p.Line("%s  %s  %s %s", p.Dim(e.At.UTC().Format(time.DateTime)), p.status(e.Status), e.Method, e.Path)
	if why := because(e); why != "" {
		p.Field("why", why)
	}
	who := "no credential"
	if e.Credential != "" {
		who = "credential " + e.Credential
	}
	if e.Address != "" {
		who += " from " + e.Address
	}
	p.Field("request", fmt.Sprintf("%s, source %s, %s, %s", e.RequestID, e.Source, who, e.Took.Round(100*time.Microsecond)))
	if !whole {
		return
	}
	if e.UserAgent != "" {
		p.Field("client", e.UserAgent)
	}
	p.Field("sent", strings.Split(shown(e.RequestBody), "\n")...)
	p.Field("answered", strings.Split(shown(e.AnswerBody), "\n")...)
}

// shown is a body, or a word for none.
func shown(body string) string {
	if body == "" {
		return "(nothing, or bodies are not kept)"
	}
	return body
}

// because is why a request was refused: the kind of error, the attribute, the detail.
func because(e app.JournalEntry) string {
	var parts []string
	if e.SCIMType != "" {
		parts = append(parts, e.SCIMType)
	}
	if e.Attribute != "" {
		parts = append(parts, "attribute "+e.Attribute)
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	return strings.Join(parts, ": ")
}

// status is the status of an answer, in the colour of its kind.
func (p *view) status(status int) string {
	text := strconv.Itoa(status)
	switch {
	case status == 0:
		return p.Red("cut")
	case status >= 500:
		return p.Red(text)
	case status >= 400:
		return p.Yellow(text)
	}
	return p.Green(text)
}
