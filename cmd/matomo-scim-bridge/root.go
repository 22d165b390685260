package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/arguments"
	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/care"
	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/door"
	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// How the commands hang together.
//
//   - main calls run and exits with what it returns; nothing else exits.
//   - Every command gets its streams and its environment from cli, so that tests
//     run the whole program in their own process.
//   - Results are written to stdout, everything else to stderr.
//   - An error is printed once, here.

// Exit codes, the same for every command.
const (
	exitOK       = 0
	exitError    = 1 // something is wrong; stderr says what and what to do
	exitChanges  = 2 // plan, sync: there is something to change
	exitTampered = 3 // audit verify, restore: the chain is broken
)

// exitCode is an error that carries the exit code of a command whose answer is
// on stdout already.
type exitCode int

// Error implements error.
func (c exitCode) Error() string { return fmt.Sprintf("exit %d", int(c)) }

// cli is what every command gets: the streams, the environment and the flags
// that all share. Commands write to nothing else.
type cli struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	configPath     string
}

// view prints what commands show; its methods know the rooms' values.
type view struct{ *terminal.Printer }

// printer returns a view on stdout.
func (c *cli) printer() *terminal.Printer { return terminal.NewPrinter(c.stdout, c.getenv) }

// view returns a view on stdout.
func (c *cli) view() *view { return &view{c.printer()} }

// run builds the command tree, runs args and returns the exit code. It is the
// whole program, so that tests can call it.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr}
	root := c.root() //nolint:contextcheck // cobra hands ctx to every command
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	default:
		c.printError(err)
		return exitError
	}
}

// root is the tree of commands.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "matomo-scim-bridge",
		Short: "Identity-driven access for Matomo: SCIM 2.0 in, verified Matomo access out",
		Long: `matomo-scim-bridge takes joiners, movers and leavers from an identity provider
over SCIM 2.0, turns groups into Matomo access by your rules, makes Matomo agree,
ends the tokens of those who lost access, reads back that it is so, and can
prove it later.

Start with:  matomo-scim-bridge demo
Then:        matomo-scim-bridge config example > bridge.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          helpOnly,
	}
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVarP(&c.configPath, "config", "c", "",
		"configuration file (default: $"+config.EnvPath+", else ./"+config.DefaultPath+")")
	root.AddCommand(
		c.serveCommand(),
		c.demoCommand(),
		c.checkCommand(),
		c.explainCommand(),
		c.planCommand(),
		c.syncCommand(),
		c.leaverCommand(),
		c.tokensCommand(),
		c.inventoryCommand(),
		group("credential", "Manage the secrets that identity providers sign in with", door.Credentials(c.door())...),
		door.Requests(c.door()),
		c.auditCommand(),
		c.simulateCommand(),
		c.configCommand(),
		c.versionCommand(),
	)
	root.AddCommand(c.care().Commands()...)
	arguments.ExplainUsage(root)
	return root
}

// care is the program as the commands of an operator see it.
func (c *cli) care() *care.Care {
	return &care.Care{
		Load: c.loadForDatabase, Options: c.options, Printer: c.printer, Stderr: c.stderr,
		Exit: func(code int) error { return exitCode(code) },
	}
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: helpOnly}
	cmd.AddCommand(commands...)
	return cmd
}

// helpOnly shows the help of a command that does nothing by itself; a word
// that is no command of it is an error.
func helpOnly(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		hint := "see: " + cmd.CommandPath() + " --help"
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "? (" + hint + ")"
		}
		return fmt.Errorf("unknown command %q; %s", args[0], hint)
	}
	return cmd.Help()
}

// printError writes an error for a person. Problems of the configuration and of rules come
// one by one, each with its place at the start of the line, where editors look for it.
func (c *cli) printError(err error) {
	if placed := placed(err); placed != nil {
		_, _ = fmt.Fprintln(c.stderr, placed.Error())
		return
	}
	_, _ = fmt.Fprintf(c.stderr, "matomo-scim-bridge: %v\n", err)
	if remedy := app.Remedy(err); remedy != "" {
		_, _ = fmt.Fprintln(c.stderr, "  "+remedy)
	}
}

// placed returns what in err says where it is, line by line; nil when nothing does.
func placed(err error) error {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return problems
	}
	if problems, ok := errors.AsType[*app.RuleErrors](err); ok {
		return problems
	}
	return nil
}

// load reads the configuration and the files it names.
func (c *cli) load() (*config.Config, error) { return config.Load(c.configPath, c.getenv) }

// loadForDatabase reads the configuration for a command that wants the database alone.
func (c *cli) loadForDatabase() (*config.Config, error) {
	return config.LoadForDatabase(c.configPath, c.getenv)
}
