package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

type verifyCommand struct {
	Trail  verifyTrailCommand  `cmd:"" default:"withargs" help:"Compare every sealed row with what was sealed. It is the default."`
	Bundle verifyBundleCommand `cmd:"" help:"Verify a proof of one record, without a database."`
}

const keyHelp = "The public key of the log: the .pub file, or its text."

type verifyTrailCommand struct {
	Checkpoint string `required:"" placeholder:"FILE" help:"A signed checkpoint that the sealer exported, or the directory of checkpoints, whose last one is taken. It must not come from the database."`
	Key        string `required:"" placeholder:"KEY" help:"${key_help}"`
	Workers    int    `help:"How many connections read and hash at the same time. Defaults to the number of cores."`
	JSON       bool   `name:"json" help:"Print one JSON object."`
}

// Help is shown below the command's usage.
func (c *verifyTrailCommand) Help() string {
	return "Reads the whole table once, and finds rows that were edited, deleted or inserted below the last sealed one, a log that was cut off, and a log that is not the signed one. " +
		"It needs SELECT on the trail and on the seal's tables, and changes nothing.\n\n" +
		"Exit status: 0 everything is as it was sealed, 1 something is not or the command failed, 2 wrong usage."
}

// Run is called by kong.
func (c *verifyTrailCommand) Run(ctx context.Context, p *cli.Program, db *database) error {
	const tried = "verifying the trail"
	key, err := seal.LoadVerifier(c.Key)
	if err != nil {
		return cli.Usage(tried, err, "")
	}
	signed, err := readCheckpoint(ctx, c.Checkpoint)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	pool, err := db.openPool(ctx, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	progress := term.NewProgress(p.Stderr, 0)
	result, err := sealer.Verify(ctx, pool, sealer.VerifyConfig{
		Checkpoint: signed, Verifier: key, Workers: c.Workers,
		Progress: func(verified, total int64) { progress.Update(verified, total) },
	})
	progress.Clear()
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	if c.JSON {
		err = p.PrintJSON(tried, verificationObject(result))
	} else {
		err = p.Print(verificationText(result))
	}
	if err == nil && len(result.Findings) > 0 {
		return cli.ErrReported
	}
	return err
}

// readCheckpoint reads a signed checkpoint: a file, or the last one of a directory.
func readCheckpoint(ctx context.Context, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint: %w", err)
	}
	if !info.IsDir() {
		signed, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the checkpoint: %w", err)
		}
		return signed, nil
	}
	signed, err := sealer.Directory(path).Last(ctx)
	if err == nil && signed == nil {
		err = fmt.Errorf("%s holds no checkpoint: give the directory that coordaudit seal --checkpoints had", path)
	}
	return signed, err
}

func verificationText(v sealer.Verification) string {
	var text strings.Builder
	fmt.Fprintf(&text, "checkpoint  %s, %s leaves\n", audit.Printable(v.Checkpoint.Origin), format.Thousands(v.Checkpoint.Size))
	fmt.Fprintf(&text, "as sealed   %s\n", format.Thousands(v.Verified))
	fmt.Fprintf(&text, "not sealed  %s seqs after the last one that is covered, %s late records\n", format.Thousands(v.Unsealed), format.Thousands(v.Awaited))
	for _, finding := range v.Findings {
		fmt.Fprintf(&text, "%-10s  %s\n", strings.ToUpper(string(finding.Fault)), finding.Text)
	}
	switch {
	case v.MoreFindings > 0:
		fmt.Fprintf(&text, "and %s more findings\n", format.Thousands(v.MoreFindings))
	case len(v.Findings) == 0:
		text.WriteString("every row that the checkpoint covers is as it was sealed\n")
	}
	return text.String()
}

// verificationJSON is what scripts depend on. Keys are only added, at its end.
type verificationJSON struct {
	Intact       bool              `json:"intact"`
	Origin       string            `json:"origin"`
	Epoch        int64             `json:"epoch"`
	Size         int64             `json:"size"`
	Verified     int64             `json:"verified"`
	Awaited      int64             `json:"awaited"`
	Unsealed     int64             `json:"unsealed"`
	Findings     []sealFindingJSON `json:"findings"`
	MoreFindings int64             `json:"more_findings"`
}

type sealFindingJSON struct {
	Fault string     `json:"fault"`
	Kind  *string    `json:"kind"`
	Seq   *int64     `json:"seq"`
	ID    *uuid.UUID `json:"id"`
	Text  string     `json:"text"`
}

func verificationObject(v sealer.Verification) verificationJSON {
	object := verificationJSON{
		Intact: len(v.Findings) == 0, Origin: v.Checkpoint.Origin, Epoch: v.Epoch, Size: v.Checkpoint.Size,
		Verified: v.Verified, Awaited: v.Awaited, Unsealed: v.Unsealed, MoreFindings: v.MoreFindings,
		Findings: make([]sealFindingJSON, len(v.Findings)),
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

type verifyBundleCommand struct {
	File string `arg:"" help:"The bundle, as coordaudit prove writes it. - is the standard input."`
	Key  string `required:"" placeholder:"KEY" help:"${key_help}"`
	JSON bool   `name:"json" help:"Print the record as one JSON object."`
}

// Run is called by kong.
func (c *verifyBundleCommand) Run(p *cli.Program) error {
	tried := "verifying the bundle " + audit.Printable(c.File)
	key, err := seal.LoadVerifier(c.Key)
	if err != nil {
		return cli.Usage(tried, err, "")
	}
	text, err := c.read(p)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	proof, err := seal.ParseProof(text)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	checkpoint, err := proof.Verify(key.Name(), key)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	rec, err := proof.Row.Record()
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	if c.JSON {
		return p.PrintJSON(tried, rec)
	}
	return p.Print(fmt.Sprintf("record %s is leaf %s of %s in the log %s\n\n%s",
		rec.AuditID, format.Thousands(proof.Index), format.Thousands(checkpoint.Size), audit.Printable(checkpoint.Origin), recordText(rec)))
}

func (c *verifyBundleCommand) read(p *cli.Program) ([]byte, error) {
	from := p.Stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return nil, fmt.Errorf("reading the bundle: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, seal.MaxProofBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	return text, nil
}

type proveCommand struct {
	ID  string `arg:"" help:"The audit id of the record, a UUID."`
	Out string `default:"-" placeholder:"FILE" help:"Where the bundle goes. - is the standard output."`
}

// Help is shown below the command's usage.
func (c *proveCommand) Help() string {
	return "A bundle is about one kilobyte: the record, its place in the log, and a signed checkpoint. Verify it anywhere with coordaudit verify bundle."
}

// Run is called by kong.
func (c *proveCommand) Run(ctx context.Context, p *cli.Program, db *database) error {
	tried := "proving audit record " + audit.Printable(c.ID)
	id, err := audit.ParseAuditID(c.ID)
	if err != nil {
		return cli.Usage("reading the audit id", errors.New(format.Faults(format.FaultsOf(err))), "give it as 01890a5d-ac96-774b-bcce-b302099a8057")
	}
	pool, err := db.openPool(ctx, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	proof, err := sealer.Prove(ctx, pool, "", id)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	text, err := proof.MarshalText()
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	if c.Out == "-" {
		return p.Print(string(text))
	}
	if err := os.WriteFile(c.Out, text, 0o644); err != nil { //nolint:gosec // a proof is to be shown around
		return &cli.ShownError{Tried: tried, Cause: fmt.Errorf("writing the bundle: %w", err)}
	}
	return nil
}
