// Package door is the commands about the door that identity providers come in by: the
// credentials that they sign in with, and the journal of what they sent.
//
// Rules of this package:
//
//   - A mistake is told before anything is done, with what to write instead. An empty flag is a mistake: it must
//     never mean everything.
//   - Nothing here shows a secret twice.
package door

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// What identity providers sign in with. A credential is a name, a source, and a
// secret of 256 random bits that is stored as a hash only.
//
// Rules of this file:
//
//   - The secret is alone on stdout, so that it can be piped into a secret store;
//     everything a person reads is on stderr.
//   - It is shown once. There is no way to see it again, only to make another.
//   - Several may be live for one source. Rotation without an outage is: rotate,
//     change it at the provider, wait for the old one's end.
//   - A running bridge learns of a revocation within seconds, without a restart.

// Host is what the commands need of the program around them.
type Host struct {
	Stdout, Stderr io.Writer
	// Printer writes to Stdout in the style of its terminal.
	Printer func() *terminal.Printer
	// Open runs fn on the wired rooms, which are open to be read only, or for writing.
	Open func(ctx context.Context, readOnly bool, fn func(context.Context, *app.Services) error) error
}

// Credentials are the commands below "credential".
func Credentials(h Host) []*cobra.Command {
	return []*cobra.Command{h.create(), h.rotate(), h.list(), h.revoke()}
}

// bounds are the flags that bound a credential, as they were written.
type bounds struct {
	scopes, cidrs []string
	expires       string
}

// create prints a new secret, alone, on stdout.
func (h Host) create() *cobra.Command {
	var source string
	var b bounds
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a secret for an identity provider and print it once",
		Long: `Make a secret and print it, alone, on stdout. It is stored only as a hash and
cannot be shown again. Several secrets of one source may be live at once, so that
one can be replaced without an outage: see rotate.

Without bounds it may do everything from anywhere, and does not expire. Scopes:
  users   read and write users
  groups  read and write groups, and read users
  read    read everything, write nothing`,
		Example: `  matomo-scim-bridge credential create okta-2026 --source okta --expires 365d
  matomo-scim-bridge credential create monitor --scope read --cidr 10.0.0.0/8,2001:db8::/32`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// An empty flag is a mistake, such as a variable that is not set: it must not
			// mean everything.
			for flag, list := range map[string][]string{"scope": b.scopes, "cidr": b.cidrs} {
				if cmd.Flags().Changed(flag) && len(list) == 0 {
					return fmt.Errorf("credential %q: --%s is empty; leave it out for no bound", args[0], flag)
				}
			}
			spec, err := b.spec(args[0], time.Now())
			if err != nil {
				return fmt.Errorf("credential %q: %w", args[0], err)
			}
			return h.Open(cmd.Context(), false, func(ctx context.Context, s *app.Services) error {
				if spec.Source, err = SourceName(s.Config, source); err != nil {
					return err
				}
				secret, err := s.Directory.IssueCredential(ctx, spec)
				if err != nil {
					return fmt.Errorf("credential %q: %w", args[0], err)
				}
				return h.printSecret(spec, secret)
			})
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the source it signs in for (needed when there are several)")
	cmd.Flags().StringSliceVar(&b.scopes, "scope", nil, "what it may do: users, groups, read (default all)")
	cmd.Flags().StringSliceVar(&b.cidrs, "cidr", nil, "address block it may be used from, such as 10.0.0.0/8 (default anywhere)")
	expiresFlag(cmd, &b.expires)
	return cmd
}

// expiresFlag adds the flag for the end of a credential.
func expiresFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "expires", "never", "when it ends: 90d from now, or a date such as 2027-06-30 (UTC)")
}

// spec reads the bounds; now is what durations count from.
func (b bounds) spec(name string, now time.Time) (app.CredentialSpec, error) {
	out := app.CredentialSpec{Name: name}
	var err error
	if len(b.scopes) > 0 {
		if out.Scopes, err = app.ParseScopes(b.scopes); err != nil {
			return out, fmt.Errorf("--scope: %w", err)
		}
	}
	if out.CIDRs, err = config.ParseBlocks(b.cidrs); err != nil {
		return out, fmt.Errorf("--cidr: %w; write 10.0.0.0/8, 2001:db8::/32 or one address", err)
	}
	if b.expires != "never" {
		end, err := pointInTime(b.expires, now, false)
		if err != nil {
			return out, fmt.Errorf("--expires: %w", err)
		}
		out.Expires = &end
	}
	return out, nil
}

// pointInTime reads a date, a time, or a duration, which counts from now: onward, or
// back.
func pointInTime(text string, now time.Time, back bool) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	d, err := config.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q: %w; write 90d, 12h or a date such as 2027-06-30", text, err)
	}
	if back {
		d = -d
	}
	return now.Add(d), nil
}

// printSecret writes the secret to stdout, and what it is good for to stderr.
func (h Host) printSecret(spec app.CredentialSpec, secret string) error {
	if _, err := fmt.Fprintln(h.Stdout, secret); err != nil {
		return err
	}
	scopes := spec.Scopes
	if scopes == 0 {
		scopes = app.AllScopes
	}
	_, err := fmt.Fprintf(h.Stderr, "credential %q for source %q: scopes %s, from %s, ends %s\nthe secret above is shown only this once\n",
		spec.Name, spec.Source, scopes, from(spec.CIDRs), terminal.Day(spec.Expires))
	return err
}

// rotate makes the next secret and lets the old one run out.
func (h Host) rotate() *cobra.Command {
	var overlap, expires string
	cmd := &cobra.Command{
		Use:   "rotate NAME NEXT",
		Short: "Make the next secret of a credential and let the old one run out",
		Long: `Make a credential called NEXT with source, scopes and addresses of the one called
NAME, print its secret, alone, on stdout, and have NAME end after the overlap. Both
work until then: put the new secret into the identity provider, see it used with
credential list, and revoke the old one earlier if you like.`,
		Example: "  matomo-scim-bridge credential rotate okta-2026 okta-2027 --overlap 7d --expires 365d",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := bounds{expires: expires}.spec(args[1], time.Now())
			if err != nil {
				return fmt.Errorf("credential %q: %w", args[1], err)
			}
			within, err := config.ParseDuration(overlap)
			if err != nil {
				return fmt.Errorf("--overlap: %q: %w; write 7d or 12h", overlap, err)
			}
			return h.Open(cmd.Context(), false, func(ctx context.Context, s *app.Services) error {
				secret, made, err := s.Directory.RotateCredential(ctx, args[0], args[1], within, spec.Expires)
				if err != nil {
					return fmt.Errorf("credential %q: %w", args[0], err)
				}
				if err := h.printSecret(made, secret); err != nil {
					return err
				}
				_, err = fmt.Fprintf(h.Stderr, "credential %q ends in %s, or with: credential revoke %s\n", args[0], overlap, args[0])
				return err
			})
		},
	}
	cmd.Flags().StringVar(&overlap, "overlap", "7d", "how long the old secret still works")
	expiresFlag(cmd, &expires)
	return cmd
}

// SourceName is the source that a command is about: the one named, or the only one.
func SourceName(cfg *config.Config, name string) (string, error) {
	if name == "" {
		if len(cfg.Sources) == 1 {
			return cfg.Sources[0].Name, nil
		}
		return "", fmt.Errorf("say for which source with --source; the configuration has: %s", sourceNames(cfg))
	}
	for _, s := range cfg.Sources {
		if s.Name == name {
			return name, nil
		}
	}
	return "", fmt.Errorf("no source is called %q; the configuration has: %s", name, sourceNames(cfg))
}

// sourceNames lists the sources for messages.
func sourceNames(cfg *config.Config) string {
	names := make([]string, len(cfg.Sources))
	for i, s := range cfg.Sources {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// revoke ends a credential.
func (h Host) revoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME",
		Short: "End a credential at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return h.Open(cmd.Context(), false, func(ctx context.Context, s *app.Services) error {
				if err := s.Directory.RevokeCredential(ctx, args[0]); err != nil {
					return fmt.Errorf("credential %q: %w", args[0], err)
				}
				_, err := fmt.Fprintf(h.Stderr, "credential %q is revoked; a running bridge refuses it within seconds\n", args[0])
				return err
			})
		},
	}
}
