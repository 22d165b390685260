package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
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
//   - Several may be live for one source. Rotation without an outage is: create,
//     change it at the provider, revoke.
//   - A running bridge learns of a revocation within seconds, without a restart.

// credentialCommand manages what identity providers sign in with.
func (c *cli) credentialCommand() *cobra.Command {
	return group("credential", "Manage the secrets that identity providers sign in with",
		c.credentialCreate(), c.credentialList(), c.credentialRevoke())
}

// credentialCreate prints a new secret, alone, on stdout.
func (c *cli) credentialCreate() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a bearer secret for an identity provider and print it once",
		Long: `Make a bearer secret and print it, alone, on stdout. It is stored only as a hash
and cannot be shown again. Several secrets of one source may be live at once, so
that one can be replaced without an outage: create the new one, put it into the
identity provider, then revoke the old one.`,
		Example: "  matomo-scim-bridge credential create okta-2026 --source okta",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				name, err := sourceName(s.Config, source)
				if err != nil {
					return err
				}
				secret, err := s.Directory.CreateCredential(ctx, args[0], name)
				if err != nil {
					return fmt.Errorf("credential %q: %w", args[0], err)
				}
				if _, err := fmt.Fprintln(c.stdout, secret); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.stderr, "credential %q for source %q; the secret above is shown only this once\n", args[0], name)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the source it signs in for (needed when there are several)")
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

// credentialList shows all credentials, never their secrets.
func (c *cli) credentialList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the credentials and when each was last used",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				all, err := s.Directory.ListCredentials(ctx)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
				if _, err := fmt.Fprintln(w, "NAME\tSOURCE\tCREATED\tLAST USED\tSTATE"); err != nil {
					return err
				}
				for _, cred := range all {
					state := "live"
					if cred.Revoked != nil {
						state = "revoked " + day(cred.Revoked)
					}
					if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", cred.Name, cred.Source, day(&cred.Created), day(cred.LastUsed), state); err != nil {
						return err
					}
				}
				return w.Flush()
			})
		},
	}
}

// day is a time as lists show it.
func day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04")
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
