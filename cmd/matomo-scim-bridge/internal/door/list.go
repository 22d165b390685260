package door

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// How credentials are shown: as a table for people, as JSON for scripts, never with
// their secrets, which nobody has.

// list shows all credentials.
func (h Host) list() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the credentials: what each may do, its end, and when it was last used",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return h.Open(cmd.Context(), true, func(ctx context.Context, s *app.Services) error {
				all, err := s.Directory.ListCredentials(ctx)
				if err != nil {
					return err
				}
				rows := make([]credentialRow, len(all))
				for i, cred := range all {
					rows[i] = rowOf(s.Config, cred, time.Now())
				}
				if asJSON {
					return h.printJSON(rows)
				}
				return h.printCredentials(rows)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// The states of a credential.
const (
	credentialLive     = "live"
	credentialExpired  = "expired"
	credentialRevoked  = "revoked"
	credentialNoSource = "source not configured" // and so refused
)

// credentialRow is a credential as it is shown.
type credentialRow struct {
	Name     string         `json:"name"`
	Source   string         `json:"source"`
	Scopes   []string       `json:"scopes"`
	CIDRs    []netip.Prefix `json:"cidrs"`
	Created  time.Time      `json:"created"`
	Expires  *time.Time     `json:"expires"`
	LastUsed *time.Time     `json:"last_used"`
	Revoked  *time.Time     `json:"revoked"`
	State    string         `json:"state"`
}

// rowOf says how a credential stands.
func rowOf(cfg *config.Config, cred app.Credential, now time.Time) credentialRow {
	out := credentialRow{
		Name: cred.Name, Source: cred.Source, Scopes: cred.Scopes.Words(), CIDRs: cred.CIDRs, Created: cred.Created,
		Expires: cred.Expires, LastUsed: cred.LastUsed, Revoked: cred.Revoked, State: credentialLive,
	}
	if out.CIDRs == nil {
		out.CIDRs = []netip.Prefix{} // a list in JSON, never null
	}
	configured := slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Name == cred.Source })
	switch {
	case cred.Revoked != nil:
		out.State = credentialRevoked
	case cred.Expires != nil && !cred.Expires.After(now):
		out.State = credentialExpired
	case !configured:
		out.State = credentialNoSource
	}
	return out
}

// printCredentials prints the table.
func (h Host) printCredentials(rows []credentialRow) error {
	w := tabwriter.NewWriter(h.Stdout, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, "NAME\tSOURCE\tSCOPES\tFROM\tCREATED\tENDS\tLAST USED\tSTATE"); err != nil {
		return err
	}
	for _, r := range rows {
		state := r.State
		if r.Revoked != nil {
			state += " " + terminal.Day(r.Revoked)
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.Name, r.Source, strings.Join(r.Scopes, ","), from(r.CIDRs), terminal.Day(&r.Created), terminal.Day(r.Expires), terminal.Day(r.LastUsed), state)
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

// printJSON prints one value as indented JSON.
func (h Host) printJSON(v any) error {
	enc := json.NewEncoder(h.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// from is where a credential may be used from.
func from(blocks []netip.Prefix) string {
	if len(blocks) == 0 {
		return "anywhere"
	}
	words := make([]string, len(blocks))
	for i, b := range blocks {
		words[i] = b.String()
	}
	return strings.Join(words, ",")
}
