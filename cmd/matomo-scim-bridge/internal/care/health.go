package care

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/internal/app"
)

// What a running bridge says of itself, for people, and for container engines that ask a
// program because the image has nothing else to ask with.
//
// Rules of this file:
//
//   - It asks the service and opens nothing itself: a service that hangs must not look well
//     because its database does.
//   - Exit code 1 means down, silent or not there; degraded is for people to look at, and not
//     for an engine to restart. Neither is a Matomo that is away: it would not come back by that,
//     and what providers send meanwhile would be refused.

// healthTimeout is how long the service may take to answer.
const healthTimeout = 3 * time.Second

// healthCommand shows the parts of the running bridge.
func (c *Care) healthCommand() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Show how the parts of the running bridge are",
		Long: `Ask the bridge that runs with this configuration on this host how its parts are, and
what to do about those that are not well. Exit code 1 when a part is down or silent,
or when no bridge answers.

With --quiet it is a container's health check: only the bridge's own parts count, because
a restart brings no Matomo back.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.health(cmd.Context(), quiet)
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "do not print the parts, and leave Matomo out; the exit code says it")
	return cmd
}

// health asks and prints.
func (c *Care) health(ctx context.Context, quiet bool) error {
	cfg, err := c.Load()
	if err != nil {
		return err
	}
	page, err := Ask(ctx, cfg.Listen.Metrics)
	if err != nil {
		return fmt.Errorf("no bridge answers at %s, which listen.metrics names: %w", cfg.Listen.Metrics, err)
	}
	down := page.Status == app.StateDown
	if quiet {
		down = slices.ContainsFunc(page.Components, func(part app.HealthComponent) bool {
			return (part.State == app.StateDown || part.State == app.StateStale) && !strings.HasPrefix(part.Name, "matomo/")
		})
	} else if err := c.printHealth(page); err != nil {
		return err
	}
	if down {
		return c.Exit(Down)
	}
	return nil
}

// Ask fetches /health from the address that metrics are served at. One that stands for
// every interface is asked on this host, where no token is needed.
func Ask(ctx context.Context, listen string) (*app.HealthPage, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/health", nil)
	if err != nil {
		return nil, err
	}
	resp, err := new(http.Client).Do(req)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // the address is in what the caller says
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	// Down is an answer too; it comes with 503.
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return nil, errors.New(resp.Status)
	}
	var page app.HealthPage
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return nil, fmt.Errorf("the answer is no health page: %w", err)
	}
	return &page, nil
}

// printHealth prints one line a part, with what to do below it.
func (c *Care) printHealth(page *app.HealthPage) error {
	p := c.Printer()
	for _, part := range page.Components {
		mark := p.Red(fmt.Sprintf("%-8s", part.State))
		switch part.State {
		case app.StateOK:
			mark = p.Green(fmt.Sprintf("%-8s", part.State))
		case app.StateDegraded:
			mark = p.Yellow(fmt.Sprintf("%-8s", part.State))
		}
		p.Line("%s  %s", mark, strings.TrimSpace(fmt.Sprintf("%-28s since %s  %s", part.Name, part.Since.UTC().Format(time.DateTime),
			strings.Join(strings.Fields(part.Detail), " "))))
		if part.Action != "" {
			p.Line("          %-28s %s", "", p.Dim("-> "+part.Action))
		}
	}
	return p.Err()
}
