package sealing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/durable"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Verify is the command verify.
type Verify struct {
	Trail  verifyTrailCommand  `cmd:"" default:"withargs" help:"Compare every sealed row with what was sealed. It is the default."`
	Bundle verifyBundleCommand `cmd:"" help:"Verify a proof of one record, without a database."`
}

type verifyTrailCommand struct {
	Checkpoint string       `required:"" placeholder:"FILE" help:"A signed checkpoint that the sealer exported, or the directory of checkpoints, whose last one is taken. It must not come from the database."`
	Key        string       `required:"" placeholder:"KEY" help:"${key_help}"`
	Witnesses  witnessFlags `embed:""`
	After      string       `placeholder:"FILE" help:"An older checkpoint of the same log, or a directory with some, whose last one is taken. Only the rows after it are compared."`
	Resume     string       `placeholder:"FILE" help:"Keep the progress in this file, and go on from there if the file exists. It is removed at the end."`
	Cluster    bool         `help:"The trail is on a Citus cluster. There a record that is inserted among sealed ones is sealed next, and not found."`
	Workers    int          `help:"How many connections read and hash at the same time. Defaults to the number of cores."`
	JSON       bool         `name:"json" help:"Print one JSON object."`
}

// Help is shown below the command's usage.
func (c *verifyTrailCommand) Help() string {
	return "Reads the whole table once, and finds rows that were edited, deleted or inserted below the last sealed one, a log that was cut off, and a log that is not the signed one. " +
		"It needs SELECT on the trail and on the seal's tables, and changes nothing.\n\n" +
		"Exit status: 0 everything is as it was sealed, 1 something is not or the command failed, 2 wrong usage."
}

// Validate is called by kong.
func (c *verifyTrailCommand) Validate() error { return c.Witnesses.validate() }

// Run is called by kong.
func (c *verifyTrailCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	const tried = "verifying the trail"
	log, err := shared.LoadExported(ctx, c.Checkpoint, c.Key, tried)
	if err != nil {
		return err
	}
	config := sealer.VerifyConfig{Checkpoint: log.Signed, Verifier: log.Verifier, Cluster: c.Cluster, Workers: c.Workers}
	witnesses, err := c.Witnesses.load(tried)
	if err != nil {
		return err
	}
	if err := witnesses.check(log.Signed, log.Verifier); err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	if err := c.narrow(ctx, &config, tried); err != nil {
		return err
	}
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	progress := p.Progress(tried)
	config.Progress = rowsDone(progress, "row")
	result, err := sealer.Verify(ctx, pool, config)
	progress.Stop()
	if err != nil {
		return c.stopped(err)
	}
	if c.Resume != "" {
		if err := os.Remove(c.Resume); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &cli.ShownError{Tried: tried, Cause: fmt.Errorf("removing the progress: %w", err)}
		}
	}
	if c.JSON {
		err = p.PrintJSON(tried, verificationObject(result))
	} else {
		err = p.Page(verificationText(result))
	}
	if err == nil && len(result.Findings) > 0 {
		return cli.ErrReported
	}
	return err
}

// rowsDone shows how many of the rows are done.
func rowsDone(progress *term.Progress, noun string) func(done, total int64) {
	return func(done, total int64) {
		progress.Update(term.Done{Part: done, Whole: total, Count: done, Noun: noun})
	}
}

// narrow reads what spares a verification rows: an older checkpoint, and earlier progress.
func (c *verifyTrailCommand) narrow(ctx context.Context, config *sealer.VerifyConfig, tried string) (err error) {
	if c.After != "" {
		if config.After, err = shared.LoadCheckpoint(ctx, c.After, config.Verifier, tried); err != nil {
			return err
		}
	}
	if c.Resume == "" {
		return nil
	}
	config.Save = func(progress []byte) error { return durable.ReplaceFile(c.Resume, progress) }
	config.Resume, err = os.ReadFile(c.Resume)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &cli.ShownError{Tried: tried, Cause: fmt.Errorf("reading the progress: %w", err)}
	}
	return nil
}

func (c *verifyTrailCommand) stopped(err error) error {
	shown := shared.Failed(err)
	switch {
	case errors.Is(err, sealer.ErrProgress):
		shown.Next = "remove " + audit.Printable(c.Resume) + " to begin again"
	case c.Resume != "":
		shown.Next = "run the same command again, it goes on from " + audit.Printable(c.Resume)
	}
	return shown
}

func verificationText(v sealer.Verification) string {
	var text strings.Builder
	fmt.Fprintf(&text, "checkpoint  %s, %s leaves\n", audit.Printable(v.Checkpoint.Origin), format.Thousands(v.Checkpoint.Size))
	fmt.Fprintf(&text, "as sealed   %s\n", format.Thousands(v.Verified))
	if v.Skipped > 0 {
		fmt.Fprintf(&text, "not read    %s, before the older checkpoint\n", format.Thousands(v.Skipped))
	}
	if v.Expired > 0 {
		fmt.Fprintf(&text, "expired     %s, on record\n", format.Thousands(v.Expired))
	}
	for _, of := range v.Archives {
		fmt.Fprintf(&text, "archive     %s, %s in %s%s\n", audit.Printable(of.Archive), format.Plural(of.Records, "record"), batches(of.Batches), unsealedBatches(of.Unsealed))
	}
	if v.Erased > 0 {
		fmt.Fprintf(&text, "erased      a text of %s, on record\n", format.Plural(v.Erased, "record"))
	}
	if v.Claimed > 0 {
		fmt.Fprintf(&text, "claimed     a text of %s reads as erased, and was so when it was stored: by its writer, or by an import\n", format.Plural(v.Claimed, "record"))
	}
	fmt.Fprintf(&text, "not sealed  %s seqs after the last one that is covered, %s late records\n", format.Thousands(v.Unsealed), format.Thousands(v.Awaited))
	if v.UnsealedOthers > 0 {
		fmt.Fprintf(&text, "            %s gaps, statements and events\n", format.Thousands(v.UnsealedOthers))
	}
	for _, finding := range v.Findings {
		fmt.Fprintf(&text, "%-10s  %s\n", strings.ToUpper(string(finding.Fault)), finding.Text)
	}
	read := "the checkpoint covers"
	if v.Skipped > 0 {
		read = "was read"
	}
	switch {
	case v.MoreFindings > 0:
		fmt.Fprintf(&text, "and %s more findings\n", format.Thousands(v.MoreFindings))
	case len(v.Findings) == 0 && v.Expired > 0:
		fmt.Fprintf(&text, "every row that %s is as it was sealed, or on record as expired\n", read)
	case len(v.Findings) == 0:
		fmt.Fprintf(&text, "every row that %s is as it was sealed\n", read)
	}
	return text.String()
}

func batches(n int64) string {
	if n == 1 {
		return "1 batch"
	}
	return format.Thousands(n) + " batches"
}

func unsealedBatches(n int64) string {
	if n == 0 {
		return ""
	}
	return ", of which the checkpoint does not cover the events of " + batches(n)
}

// VerificationJSON is what scripts depend on. Keys are only added, at its end.
type VerificationJSON struct {
	Intact       bool              `json:"intact"`
	Origin       string            `json:"origin"`
	Epoch        int64             `json:"epoch"`
	Size         int64             `json:"size"`
	Verified     int64             `json:"verified"`
	Awaited      int64             `json:"awaited"`
	Unsealed     int64             `json:"unsealed"`
	Findings     []sealFindingJSON `json:"findings"`
	MoreFindings int64             `json:"more_findings"`
	Skipped      int64             `json:"skipped"`
	Expired      int64             `json:"expired"`
	Erased       int64             `json:"erased"`
	Archives     []archiveJSON     `json:"archives"`
	Claimed      int64             `json:"claimed_erased"`
	Others       int64             `json:"unsealed_others"`
}

type archiveJSON struct {
	Archive  string `json:"archive"`
	Records  int64  `json:"records"`
	Batches  int64  `json:"batches"`
	Unsealed int64  `json:"unsealed_batches"`
}

type sealFindingJSON struct {
	Fault string     `json:"fault"`
	Kind  *string    `json:"kind"`
	Seq   *int64     `json:"seq"`
	ID    *uuid.UUID `json:"id"`
	Text  string     `json:"text"`
}

func verificationObject(v sealer.Verification) VerificationJSON {
	object := VerificationJSON{
		Intact: len(v.Findings) == 0, Origin: v.Checkpoint.Origin, Epoch: v.Epoch, Size: v.Checkpoint.Size,
		Verified: v.Verified, Awaited: v.Awaited, Unsealed: v.Unsealed, MoreFindings: v.MoreFindings, Skipped: v.Skipped,
		Findings: make([]sealFindingJSON, len(v.Findings)), Expired: v.Expired, Erased: v.Erased, Claimed: v.Claimed, Others: v.UnsealedOthers, Archives: make([]archiveJSON, len(v.Archives)),
	}
	for i, of := range v.Archives {
		object.Archives[i] = archiveJSON(of)
	}
	for i, finding := range v.Findings {
		found := sealFindingJSON{Fault: strings.ReplaceAll(string(finding.Fault), " ", "_"), Text: finding.Text}
		if finding.Kind != 0 {
			kind, seq := finding.Kind.String(), finding.Seq
			found.Kind, found.Seq = &kind, &seq
		}
		if finding.ID != uuid.Nil {
			found.ID = &finding.ID
		}
		object.Findings[i] = found
	}
	return object
}
