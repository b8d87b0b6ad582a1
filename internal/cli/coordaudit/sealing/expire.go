package sealing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/bounds"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Expire is the command expire.
type Expire struct {
	Plan    expirePlanCommand    `cmd:"" help:"Count the records that would expire."`
	Archive expireArchiveCommand `cmd:"" help:"Write them into a directory, with their proofs and a manifest. Nothing is removed."`
	Apply   expireApplyCommand   `cmd:"" help:"Take the records of an archive out of the table, each batch with the event that says so."`
	Check   expireCheckCommand   `cmd:"" help:"Prove every record of an archive, without a database."`
	Holds   expireHoldsCommand   `cmd:"" help:"List, add and release legal holds, which stop expiry and erasure."`
	Minimum expireMinimumCommand `cmd:"" help:"Show how old a record must be to expire, or set it as the owner of the trail."`
}

// Help is shown below the command's usage.
func (c *Expire) Help() string {
	return "Run plan, archive, check and apply, in this order. Only what is sealed, exported, archived and not held leaves the trail. docs/expiry.md describes it."
}

// logFlags name the log from outside of the database.
type logFlags struct {
	Checkpoint string `required:"" placeholder:"FILE" help:"A signed checkpoint that the sealer exported, or the directory of checkpoints, whose last one is taken. It must not come from the database."`
	Key        string `required:"" placeholder:"KEY" help:"${key_help}"`
}

// open reads the checkpoint and the key, and opens a pool. The caller closes it.
func (f logFlags) open(ctx context.Context, db *shared.Database, tried string) (config expiry.Config, pool *pgxpool.Pool, err error) {
	log, err := shared.LoadExported(ctx, f.Checkpoint, f.Key, tried)
	if err != nil {
		return config, nil, err
	}
	config.Checkpoint, config.Verifier = log.Signed, log.Verifier
	pool, err = db.OpenPool(ctx, tried)
	config.Pool = pool
	return config, pool, err
}

// expireFlags say which records expire.
type expireFlags struct {
	Scope     shared.ScopeFlags `embed:""`
	Class     []string          `placeholder:"CLASS" help:"Only envelopes of this class, in upper or lower case. May be repeated."`
	Before    string            `xor:"horizon" required:"" placeholder:"TIME" help:"Only records that the database stored before this time: RFC 3339 with an offset, or a day such as 2025-01-31 (from 00:00 UTC)."`
	OlderThan string            `xor:"horizon" required:"" placeholder:"AGE" help:"Only records that the database stored longer ago than this, such as 400d or 60w."`
}

func (f expireFlags) filter(tried string) (expiry.Filter, error) {
	filter := expiry.Filter{Scope: f.Scope.Scope()}
	classes, err := shared.ParseWords("--class", f.Class, audit.ParseEnvelopeClass)
	filter.Classes = classes
	if err == nil {
		err = f.Scope.Validate()
	}
	if err != nil {
		return filter, cli.Misused(tried, err)
	}
	now := time.Now()
	if f.OlderThan != "" {
		ago, ok := bounds.ParseAgo(f.OlderThan)
		if !ok {
			return filter, cli.Misused(tried, errors.New("--older-than must be an age, such as 400d or 60w"))
		}
		filter.Before = now.Add(-ago)
		return filter, nil
	}
	if filter.Before, err = shared.ParseBound("--before", f.Before, now); err != nil {
		return filter, cli.Misused(tried, err)
	}
	return filter, nil
}

type expirePlanCommand struct {
	Log   logFlags    `embed:""`
	Which expireFlags `embed:""`
	JSON  bool        `name:"json" help:"Print one JSON object."`
}

// PlanJSON is what scripts depend on. Keys are only added, at its end.
type PlanJSON struct {
	Before       string  `json:"before"`
	MinimumDays  int32   `json:"minimum_days"`
	Records      int64   `json:"records"`
	Held         int64   `json:"held"`
	Unsealed     int64   `json:"unsealed"`
	FirstSeq     int64   `json:"first_seq"`
	LastSeq      int64   `json:"last_seq"`
	FirstCreated *string `json:"first_created"`
	LastCreated  *string `json:"last_created"`
}

// Run is called by kong.
func (c *expirePlanCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	const tried = "planning the expiry"
	filter, err := c.Which.filter(tried)
	if err != nil {
		return err
	}
	config, pool, err := c.Log.open(ctx, db, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	progress := p.Progress(tried)
	plan, err := expiry.MakePlan(ctx, config, filter)
	progress.Stop()
	if err != nil {
		return shared.Failed(err)
	}
	if c.JSON {
		return p.PrintJSON(tried, PlanJSON{
			Before: format.Time(filter.Before), MinimumDays: plan.MinimumDays, Records: plan.Records, Held: plan.Held, Unsealed: plan.Unsealed,
			FirstSeq: plan.FirstSeq, LastSeq: plan.LastSeq, FirstCreated: shared.TimeOrNull(plan.FirstCreated), LastCreated: shared.TimeOrNull(plan.LastCreated),
		})
	}
	var text strings.Builder
	fmt.Fprintf(&text, "horizon   %s; a record must be %d days old at least\n", format.Time(filter.Before), plan.MinimumDays)
	fmt.Fprintf(&text, "records   %s for %s", format.Thousands(plan.Records), format.Folded(filter.Scope.String()))
	if plan.Records > 0 {
		fmt.Fprintf(&text, ", seqs %d to %d, stored from %s to %s", plan.FirstSeq, plan.LastSeq, format.Time(plan.FirstCreated), format.Time(plan.LastCreated))
	}
	fmt.Fprintf(&text, "\nheld      %s, which a legal hold keeps\n", format.Thousands(plan.Held))
	fmt.Fprintf(&text, "unsealed  %s, which are in no full tile of the checkpoint and stay\n", format.Thousands(plan.Unsealed))
	return p.Print(text.String())
}

type expireArchiveCommand struct {
	Log        logFlags    `embed:""`
	Which      expireFlags `embed:""`
	Out        string      `required:"" placeholder:"DIR" help:"The directory of the archive. It must not exist. It takes its name once it is complete."`
	ExceptHeld bool        `help:"Leave out the records that a legal hold keeps. Without it, they are a refusal."`
	Batch      int64       `default:"4096" help:"How many records expire in one transaction, at most."`
	JSON       bool        `name:"json" help:"Print the manifest, as one JSON object."`
	Share      coresFlags  `embed:""`
}

// Validate is called by kong.
func (c *expireArchiveCommand) Validate() error {
	if c.Batch < 1 || c.Batch > 16_384 {
		return errors.New("--batch must be 1 to 16384")
	}
	return c.Share.validate()
}

// Run is called by kong.
func (c *expireArchiveCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	tried := "archiving to " + audit.Printable(c.Out)
	filter, err := c.Which.filter(tried)
	if err != nil {
		return err
	}
	config, pool, err := c.Log.open(ctx, db, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	defer c.Share.limit()()
	version, commit := cli.Build()
	progress := p.Progress(tried)
	manifest, err := expiry.Archive(ctx, config, expiry.ArchiveConfig{
		Filter: filter, Dir: c.Out, ExceptHeld: c.ExceptHeld, Batch: c.Batch, Software: fmt.Sprintf("coordaudit %s (commit %s)", version, commit),
		Progress: rowsDone(progress, "record"),
	})
	progress.Stop()
	if err != nil {
		return shared.Failed(err)
	}
	if c.JSON {
		return p.PrintJSON(tried, manifest)
	}
	return p.Print(fmt.Sprintf("archived %s, seqs %d to %d, in %s\narchive %s\n",
		format.Plural(manifest.Records, "record"), manifest.FirstSeq, manifest.LastSeq, batches(int64(len(manifest.Batches))), manifest.Digest()))
}

type expireApplyCommand struct {
	Log     logFlags `embed:""`
	Archive string   `required:"" placeholder:"DIR" help:"The directory of the archive."`

	Pause time.Duration `placeholder:"TIME" help:"How long to wait between two batches, such as 20ms, for those who write meanwhile."`
	JSON  bool          `name:"json" help:"Print one JSON object."`
	Share coresFlags    `embed:""`
}

// Validate is called by kong.
func (c *expireApplyCommand) Validate() error {
	if c.Pause < 0 {
		return errors.New("--pause must not be negative")
	}
	return c.Share.validate()
}

// AppliedJSON is what scripts depend on. Keys are only added, at its end.
type AppliedJSON struct {
	Archive string `json:"archive"`
	Records int64  `json:"records"`
	Expired int64  `json:"expired"`
	Before  int64  `json:"expired_before"`
}

// Run is called by kong.
func (c *expireApplyCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	tried := "applying the archive " + audit.Printable(c.Archive)
	config, pool, err := c.Log.open(ctx, db, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	defer c.Share.limit()()
	progress := p.Progress(tried)
	// Every record is proved before the first one leaves the table.
	progress.Say("checking the archive, step 1 of 2")
	show := rowsDone(progress, "record")
	var applying sync.Once
	applied, err := expiry.Apply(ctx, config, expiry.ApplyConfig{Dir: c.Archive, Pause: c.Pause, Checked: show, Progress: func(done, records int64) {
		applying.Do(func() { progress.Say(tried + ", step 2 of 2") })
		show(done, records)
	}})
	progress.Stop()
	if err != nil {
		return shared.Failed(err)
	}
	if c.JSON {
		return p.PrintJSON(tried, AppliedJSON{Archive: applied.Manifest.Digest(), Records: applied.Manifest.Records, Expired: applied.Expired, Before: applied.Before})
	}
	return p.Print(fmt.Sprintf("expired %s, and %s before; the archive holds %s\narchive %s\n",
		format.Plural(applied.Expired, "record"), format.Thousands(applied.Before), format.Thousands(applied.Manifest.Records), applied.Manifest.Digest()))
}

type expireCheckCommand struct {
	Archive string `required:"" placeholder:"DIR" help:"The directory of the archive."`
	Key     string `required:"" placeholder:"KEY" help:"${key_help}"`
	Trail   bool   `help:"Also compare the archive with the events of the database."`
	JSON    bool   `name:"json" help:"Print one JSON object."`
}

// CheckedJSON is what scripts depend on. Keys are only added, at its end.
type CheckedJSON struct {
	Archive  string          `json:"archive"`
	Manifest expiry.Manifest `json:"manifest"`
	OnRecord *int64          `json:"on_record"` // records; null without --trail
}

// Run is called by kong.
func (c *expireCheckCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	tried := "checking the archive " + audit.Printable(c.Archive)
	key, err := cli.LoadKey(tried, c.Key, seal.LoadVerifier)
	if err != nil {
		return err
	}
	progress := p.Progress(tried)
	manifest, err := expiry.CheckArchive(ctx, c.Archive, key, rowsDone(progress, "record"))
	progress.Stop()
	if err != nil {
		return shared.Failed(err)
	}
	result := CheckedJSON{Archive: manifest.Digest(), Manifest: manifest}
	text := fmt.Sprintf("%s as they were sealed, seqs %d to %d, under %s of %s leaves\narchive %s\n",
		format.Plural(manifest.Records, "record"), manifest.FirstSeq, manifest.LastSeq, audit.Printable(manifest.Origin), format.Thousands(manifest.Size), manifest.Digest())
	if c.Trail {
		recorded, err := c.onRecord(ctx, p, db, tried, manifest)
		if err != nil {
			return err
		}
		result.OnRecord = &recorded.Records
		text += fmt.Sprintf("on record as expired: %s in %s of %s\n", format.Thousands(recorded.Records),
			format.Thousands(recorded.Batches), batches(int64(len(manifest.Batches))))
	}
	if c.JSON {
		return p.PrintJSON(tried, result)
	}
	return p.Print(text)
}

func (c *expireCheckCommand) onRecord(ctx context.Context, p *cli.Program, db *shared.Database, tried string, manifest expiry.Manifest) (expiry.Recorded, error) {
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return expiry.Recorded{}, err
	}
	defer pool.Close()
	progress := p.Progress("comparing the archive with the events of the database")
	recorded, err := expiry.OnRecord(ctx, expiry.Config{Pool: pool}, manifest)
	progress.Stop()
	if err != nil {
		return recorded, shared.Failed(err)
	}
	return recorded, nil
}
