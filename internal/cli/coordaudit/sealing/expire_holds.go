package sealing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

type expireHoldsCommand struct {
	List    holdsListCommand    `cmd:"" default:"withargs" help:"List the holds that were ever placed. It is the default."`
	Add     holdsAddCommand     `cmd:"" help:"Place a hold. It prints its id."`
	Release holdsReleaseCommand `cmd:"" help:"Release a hold. Both stay on record."`
}

type holdsListCommand struct {
	JSON bool `name:"json" help:"Print a JSON object for each hold."`
}

// HoldJSON is what scripts depend on. Keys are only added, at its end.
type HoldJSON struct {
	ID          uuid.UUID `json:"hold_id"`
	TenantID    *string   `json:"tenant_id"`
	EnvelopeID  *string   `json:"envelope_id"`
	Class       *string   `json:"envelope_class"`
	Since       *string   `json:"since"`
	Until       *string   `json:"until"`
	Why         string    `json:"why"`
	By          string    `json:"by"`
	PlacedAt    string    `json:"placed_at"`
	ReleasedAt  *string   `json:"released_at"`
	ReleasedWhy *string   `json:"released_why"`
	ReleasedBy  *string   `json:"released_by"`
}

// Run is called by kong.
func (c *holdsListCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	const tried = "listing the holds"
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	defer p.Progress(tried).Stop()
	holds, err := expiry.Holds(ctx, pool, "")
	if err != nil {
		return shared.Failed(err)
	}
	if len(holds) == 0 && !c.JSON {
		return p.Print("no hold was ever placed\n")
	}
	for _, hold := range holds {
		if c.JSON {
			err = p.PrintJSON(tried, holdObject(hold))
		} else {
			err = p.Print(holdText(hold))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func holdObject(hold expiry.Hold) HoldJSON {
	object := HoldJSON{
		ID: hold.ID, TenantID: textOrNull(hold.TenantID), EnvelopeID: textOrNull(hold.EnvelopeID), Class: textOrNull(hold.Class),
		Since: shared.TimeOrNull(hold.Since), Until: shared.TimeOrNull(hold.Until), Why: hold.Why, By: hold.By, PlacedAt: format.Time(hold.PlacedAt),
		ReleasedAt: shared.TimeOrNull(hold.ReleasedAt),
	}
	if object.ReleasedAt != nil {
		object.ReleasedWhy, object.ReleasedBy = &hold.ReleasedWhy, &hold.ReleasedBy
	}
	return object
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func holdText(hold expiry.Hold) string {
	var names []string
	for _, of := range []struct{ name, value string }{{"tenant", hold.TenantID}, {"envelope", hold.EnvelopeID}, {"class", hold.Class}} {
		if of.value != "" {
			names = append(names, of.name+" "+format.Folded(of.value))
		}
	}
	if !hold.Since.IsZero() {
		names = append(names, "stored since "+format.Time(hold.Since))
	}
	if !hold.Until.IsZero() {
		names = append(names, "stored before "+format.Time(hold.Until))
	}
	text := fmt.Sprintf("%s  in force since %s, by %s\n  %s: %s\n", hold.ID, format.Time(hold.PlacedAt), format.Folded(hold.By), strings.Join(names, ", "), format.Folded(hold.Why))
	if hold.ReleasedAt.IsZero() {
		return text
	}
	text = strings.Replace(text, "in force since", "placed", 1)
	return text + fmt.Sprintf("  released %s, by %s: %s\n", format.Time(hold.ReleasedAt), format.Folded(hold.ReleasedBy), format.Folded(hold.ReleasedWhy))
}

type holdsAddCommand struct {
	Tenant   string `placeholder:"ID" help:"Hold the records of this tenant."`
	Envelope string `placeholder:"ID" help:"Hold the records about this envelope."`
	Class    string `placeholder:"CLASS" help:"Hold the records about envelopes of this class, in upper or lower case."`
	Since    string `placeholder:"TIME" help:"Hold what the database stored at this time or later."`
	Until    string `placeholder:"TIME" help:"Hold what the database stored before this time."`
	Why      string `required:"" placeholder:"TEXT" help:"What the hold is for. It is put on record, and read by everyone who may read the trail."`
}

// Help is shown below the command's usage.
func (c *holdsAddCommand) Help() string {
	return "A record is held if it fits all that is given. Give at least one of the tenant, the envelope, the class and the times."
}

// Run is called by kong.
func (c *holdsAddCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	const tried = "placing a hold"
	hold := expiry.Hold{TenantID: c.Tenant, EnvelopeID: c.Envelope, Why: c.Why}
	now := time.Now()
	var sinceErr, untilErr error
	hold.Since, sinceErr = shared.ParseBound("--since", c.Since, now)
	hold.Until, untilErr = shared.ParseBound("--until", c.Until, now)
	err := shared.Together(sinceErr, untilErr)
	if err == nil && c.Class != "" {
		var class audit.EnvelopeClass
		class, err = audit.ParseEnvelopeClass(c.Class)
		hold.Class = string(class)
	}
	if err == nil && c.Tenant+c.Envelope+c.Class+c.Since+c.Until == "" {
		err = errors.New("the hold names nothing")
	}
	if err != nil {
		return cli.Usage(tried, err, "give --tenant, --envelope, --class, --since or --until")
	}
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	defer p.Progress(tried).Stop()
	id, err := expiry.PlaceHold(ctx, pool, "", hold)
	if err != nil {
		return shared.Failed(err)
	}
	return p.Print(id.String() + "\n")
}

type holdsReleaseCommand struct {
	ID  string `arg:"" help:"The id of the hold, a UUID."`
	Why string `required:"" placeholder:"TEXT" help:"Why the hold ends. It is put on record."`
}

// Run is called by kong.
func (c *holdsReleaseCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	tried := "releasing hold " + audit.Printable(c.ID)
	id, err := uuid.Parse(c.ID)
	if err != nil {
		return cli.Usage(tried, errors.New("the id is no UUID"), "coordaudit expire holds lists the holds")
	}
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	defer p.Progress(tried).Stop()
	released, err := expiry.ReleaseHold(ctx, pool, "", id, c.Why)
	if err != nil {
		return shared.Failed(err)
	}
	if !released {
		return p.Print("released before\n")
	}
	return p.Print("released\n")
}

type expireMinimumCommand struct {
	Set *int   `placeholder:"DAYS" help:"Set it to this number of days. Only the owner of the trail may."`
	Why string `placeholder:"TEXT" help:"Why. It is put on record."`
}

// Validate is called by kong.
func (c *expireMinimumCommand) Validate() error {
	switch {
	case c.Set != nil && (*c.Set < 0 || *c.Set > expiry.MaxMinimumDays):
		return fmt.Errorf("--set must be 0 to %d", expiry.MaxMinimumDays)
	case (c.Set != nil) != (c.Why != ""):
		return errors.New("give --set and --why together")
	}
	return nil
}

// Run is called by kong.
func (c *expireMinimumCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	const tried = "reading the minimum age"
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	defer p.Progress(tried).Stop()
	if c.Set != nil {
		if err := expiry.SetMinimumAge(ctx, pool, "", *c.Set, c.Why); err != nil {
			return shared.Failed(err)
		}
	}
	days, err := expiry.MinimumAge(ctx, pool, "")
	if err != nil {
		return shared.Failed(err)
	}
	return p.Print(fmt.Sprintf("a record must be %d days old to expire\n", days))
}
