package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// Step is one event of the scenario that [Play] runs.
type Step struct {
	// At is the time of the event, counted from the beginning of the scenario.
	At time.Duration

	// TenantID is the tenant of the event. It is empty for events without a tenant.
	TenantID string

	// Tells is the event in one line.
	Tells string

	// Expect is the decision that the coordinator must make. It is empty if the event
	// is not a decision and leaves no record.
	Expect audit.Decision

	act func(context.Context, *Coordinator) (audit.Decision, error)
}

// Scenario is a fixed evening of two tenants and of envelopes without a tenant. It
// makes thirteen records and uses every rule at least once.
func Scenario() []Step {
	const acme, globex, fleet = "acme", "globex", ""
	return []Step{
		asks(0*time.Second, audit.Applied, Envelope{"retry-backoff-7", acme, audit.Reliability, "retry", "max_attempts"}, "the first to ask"),
		asks(4*time.Second, audit.Applied, Envelope{"spot-saver-2", acme, audit.Cost, "scheduler", "batch_size"}, "another parameter, no conflict"),
		asks(9*time.Second, audit.Rejected, Envelope{"turbo-cache-1", acme, audit.Performance, "retry", "max_attempts"}, "PERFORMANCE ranks below RELIABILITY"),
		asks(15*time.Second, audit.Applied, Envelope{"turbo-cache-1", globex, audit.Performance, "cache", "ttl"}, "tenants do not meet"),
		asks(21*time.Second, audit.Rejected, Envelope{"mystery-1", globex, "", "cache", "size"}, "it does not say what it optimizes for"),
		asks(28*time.Second, audit.Applied, Envelope{"cache-guard-4", globex, audit.Safety, "cache", "ttl"}, "SAFETY ranks first: two records"),
		asks(33*time.Second, audit.Rejected, Envelope{"turbo-cache-1", globex, audit.Performance, "cache", "ttl"}, "the displaced one cannot come back at once"),
		asks(40*time.Second, audit.Applied, Envelope{"retry-backoff-7", acme, audit.Reliability, "retry", "max_attempts"}, "asking again renews"),
		asks(46*time.Second, audit.Applied, Envelope{"fleet-floor-1", fleet, audit.Cost, "fleet", "min_nodes"}, "no tenant at all"),
		{At: 52 * time.Second, TenantID: acme, Tells: "spot-saver-2 is reverted", act: func(ctx context.Context, c *Coordinator) (audit.Decision, error) {
			return "", c.Revert(ctx, acme, "spot-saver-2")
		}},
		asks(57*time.Second, audit.Applied, Envelope{"spot-saver-3", acme, audit.Cost, "scheduler", "batch_size"}, "the revert freed it"),
		{At: 70 * time.Second, TenantID: acme, Tells: "kill switch on", act: func(ctx context.Context, c *Coordinator) (audit.Decision, error) {
			_, err := c.KillSwitch(ctx, acme)
			return "", err
		}},
		asks(74*time.Second, audit.Rejected, Envelope{"load-shed-9", acme, audit.Safety, "ingress", "max_rps"}, "even SAFETY waits"),
		{At: 90 * time.Second, TenantID: acme, Tells: "kill switch off", act: func(ctx context.Context, c *Coordinator) (audit.Decision, error) {
			return "", c.Reset(ctx, acme)
		}},
		asks(95*time.Second, audit.Applied, Envelope{"load-shed-9", acme, audit.Safety, "ingress", "max_rps"}, "back in business"),
	}
}

func asks(at time.Duration, expect audit.Decision, env Envelope, tells string) Step {
	return Step{At: at, TenantID: env.TenantID, Tells: tells, Expect: expect, act: func(ctx context.Context, c *Coordinator) (audit.Decision, error) {
		return c.Apply(ctx, env)
	}}
}

// Play runs the scenario on a database that has both schemas, with start as its
// beginning. It fails if a decision differs from the expected one.
func Play(ctx context.Context, pool *pgxpool.Pool, store *coordaudit.Store, start time.Time) error {
	now := start
	c := New(pool, store, Config{Instance: "coordinator-1", Clock: func() time.Time { return now }})
	for _, step := range Scenario() {
		now = start.Add(step.At)
		decision, err := step.act(ctx, c)
		if err != nil {
			return fmt.Errorf("playing the scenario at %s: %w", step.At, err)
		}
		if decision != step.Expect {
			return fmt.Errorf("playing the scenario at %s (%s): decided %q, expected %q", step.At, step.Tells, decision, step.Expect)
		}
	}
	return nil
}
