package sealing

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

type verifyBundleCommand struct {
	File      string       `arg:"" help:"A bundle, as coordaudit prove writes it, or the proofs of an export. - is the standard input."`
	Key       string       `required:"" placeholder:"KEY" help:"${key_help}"`
	Witnesses witnessFlags `embed:""`
	JSON      bool         `name:"json" help:"Print each record as a JSON object."`
}

// Validate is called by kong.
func (c *verifyBundleCommand) Validate() error { return c.Witnesses.validate() }

// Run is called by kong.
func (c *verifyBundleCommand) Run(p *cli.Program) error {
	tried := "verifying the bundle " + audit.Printable(c.File)
	key, err := cli.LoadKey(tried, c.Key, seal.LoadVerifier)
	if err != nil {
		return err
	}
	trusted := bundleTrust{key: key}
	if trusted.witnesses, err = c.Witnesses.load(tried); err != nil {
		return err
	}
	from := p.Stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return &cli.ShownError{Tried: tried, Cause: fmt.Errorf("reading the bundle: %w: give the file that coordaudit prove --out or export --proofs wrote", err)}
		}
		defer func() { _ = file.Close() }() // it was only read
		from = file
	}
	in := bufio.NewReader(from)
	if first, err := in.Peek(2); err == nil && string(first) == "\x1f\x8b" {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return &cli.ShownError{Tried: tried, Cause: fmt.Errorf("reading the bundle: %w", err)}
		}
		in = bufio.NewReader(unpacked)
	}
	const ofArchive = `{"tile":`
	if first, err := in.Peek(len(ofArchive)); err == nil && string(first) == ofArchive {
		return &cli.ShownError{Tried: tried, Cause: errors.New("these are the proofs of an archive, which need its records: check all of it with coordaudit expire check, or take the bundle of one record out with coordaudit prove ID --archive DIR")}
	}
	verify := c.verifyOne
	if first, err := in.Peek(1); err == nil && first[0] == '{' {
		verify = c.verifyLines
	}
	err = verify(p, in, trusted)
	if err == nil || errors.Is(err, cli.ErrPipeClosed) {
		return err
	}
	return &cli.ShownError{Tried: tried, Cause: err}
}

func (c *verifyBundleCommand) verifyOne(p *cli.Program, in *bufio.Reader, trusted bundleTrust) error {
	text, err := io.ReadAll(io.LimitReader(in, seal.MaxProofBytes+1))
	if err != nil {
		return fmt.Errorf("reading the bundle: %w", err)
	}
	proof, checkpoint, rec, err := trusted.verify(text)
	if err != nil {
		return err
	}
	if c.JSON {
		return p.PrintJSON("printing the record", rec)
	}
	return p.Print(fmt.Sprintf("record %s is leaf %s of %s in the log %s\n\n%s",
		rec.AuditID, format.Thousands(proof.Index), format.Thousands(checkpoint.Size), audit.Printable(checkpoint.Origin), shared.RecordText(rec, p.Screen(false))))
}

// verifyLines verifies the proofs of an export. The first that does not hold ends it.
func (c *verifyBundleCommand) verifyLines(p *cli.Program, in *bufio.Reader, trusted bundleTrust) error {
	lines, count := jsonl.NewReader(in), int64(0)
	progress := p.Progress("verifying the proofs of " + audit.Printable(c.File))
	defer progress.Stop()
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the proofs: %w", err)
		}
		of, err := sealer.ParseProofLine(line.Text)
		if line.TooLong() || err != nil {
			return fmt.Errorf("line %d is no line of an export's proofs", line.Number)
		}
		_, _, rec, err := trusted.verify([]byte(of.Bundle))
		if err == nil && rec.AuditID != of.ProofOf {
			err = fmt.Errorf("%w: it proves record %s", seal.ErrProof, rec.AuditID)
		}
		if err != nil {
			return fmt.Errorf("line %d, record %s: %w", line.Number, of.ProofOf, err)
		}
		count++
		progress.Update(term.Done{Count: count, Noun: "proof"})
		if c.JSON {
			if err := p.PrintJSON("printing the records", rec); err != nil {
				return err
			}
		}
	}
	if c.JSON {
		return nil
	}
	return p.Print(format.Plural(count, "record") + " as they were sealed\n")
}

// bundleTrust is whose signatures count.
type bundleTrust struct {
	key       note.Verifier
	witnesses witnesses
}

func (t bundleTrust) verify(text []byte) (proof seal.Proof, checkpoint seal.Checkpoint, rec audit.Record, err error) {
	if proof, err = seal.ParseProof(text); err != nil {
		return proof, checkpoint, rec, err
	}
	if checkpoint, err = proof.Verify(t.key.Name(), t.key); err != nil {
		return proof, checkpoint, rec, format.Cause(err) // the command says that a bundle is verified, and which one
	}
	if err = t.witnesses.check(proof.Checkpoint, t.key); err != nil {
		if errors.Is(err, seal.ErrUncosigned) {
			err = fmt.Errorf("%w: prove the record under a cosigned checkpoint, with coordaudit prove ID --checkpoint FILE --key KEY", err)
		}
		return proof, checkpoint, rec, err
	}
	rec, err = proof.Row.Record()
	return proof, checkpoint, rec, err
}
