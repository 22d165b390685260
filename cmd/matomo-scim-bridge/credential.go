package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

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

// credentialCommand manages what identity providers sign in with.
func (c *cli) credentialCommand() *cobra.Command {
	return group("credential", "Manage the secrets that identity providers sign in with",
		c.credentialCreate(), c.credentialRotate(), c.credentialList(), c.credentialRevoke())
}

// bounds are the flags that bound a credential, as they were written.
type bounds struct {
	scopes, cidrs []string
	expires       string
}

// credentialCreate prints a new secret, alone, on stdout.
func (c *cli) credentialCreate() *cobra.Command {
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
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				if spec.Source, err = sourceName(s.Config, source); err != nil {
					return err
				}
				secret, err := s.Directory.IssueCredential(ctx, spec)
				if err != nil {
					return fmt.Errorf("credential %q: %w", args[0], err)
				}
				return c.printSecret(spec, secret)
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
func (c *cli) printSecret(spec app.CredentialSpec, secret string) error {
	if _, err := fmt.Fprintln(c.stdout, secret); err != nil {
		return err
	}
	scopes := spec.Scopes
	if scopes == 0 {
		scopes = app.AllScopes
	}
	_, err := fmt.Fprintf(c.stderr, "credential %q for source %q: scopes %s, from %s, ends %s\nthe secret above is shown only this once\n",
		spec.Name, spec.Source, scopes, from(spec.CIDRs), day(spec.Expires))
	return err
}

// credentialRotate makes the next secret and lets the old one run out.
func (c *cli) credentialRotate() *cobra.Command {
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
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				secret, made, err := s.Directory.RotateCredential(ctx, args[0], args[1], within, spec.Expires)
				if err != nil {
					return fmt.Errorf("credential %q: %w", args[0], err)
				}
				if err := c.printSecret(made, secret); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.stderr, "credential %q ends in %s, or with: credential revoke %s\n", args[0], overlap, args[0])
				return err
			})
		},
	}
	cmd.Flags().StringVar(&overlap, "overlap", "7d", "how long the old secret still works")
	expiresFlag(cmd, &expires)
	return cmd
}

// sourceName is the source a credential is for: the one named, or the only one.
func sourceName(cfg *config.Config, name string) (string, error) {
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

// credentialRevoke ends a credential.
func (c *cli) credentialRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME",
		Short: "End a credential at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				if err := s.Directory.RevokeCredential(ctx, args[0]); err != nil {
					return fmt.Errorf("credential %q: %w", args[0], err)
				}
				_, err := fmt.Fprintf(c.stderr, "credential %q is revoked; a running bridge refuses it within seconds\n", args[0])
				return err
			})
		},
	}
}

// withServices runs fn on the wired rooms, open for writing.
func (c *cli) withServices(ctx context.Context, fn func(context.Context, *app.Services) error) error {
	return c.with(ctx, false, fn)
}

// withReadOnly runs fn on the wired rooms, open for reading.
func (c *cli) withReadOnly(ctx context.Context, fn func(context.Context, *app.Services) error) error {
	return c.with(ctx, true, fn)
}

func (c *cli) with(ctx context.Context, readOnly bool, fn func(context.Context, *app.Services) error) (err error) {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	opt := c.options()
	opt.ReadOnly = readOnly
	s, err := app.Open(ctx, cfg, opt)
	if err != nil {
		return err
	}
	defer s.Close()
	return errors.Join(fn(ctx, s), ctx.Err())
}
