// Package sealing has the commands that seal the trail, verify it and prove a record.
package sealing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/durable"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Seal is the command seal.
type Seal struct {
	Run    sealRunCommand    `cmd:"" default:"withargs" help:"Seal the trail until the program is stopped. It is the default."`
	Keygen sealKeygenCommand `cmd:"" help:"Make a key pair: FILE for the sealer, and FILE.pub for whoever verifies."`
}

type sealRunCommand struct {
	Key         string        `required:"" placeholder:"FILE" help:"The private key, as coordaudit seal keygen makes it. No one else may be able to read the file."`
	Checkpoints string        `required:"" placeholder:"DIR" help:"Where signed checkpoints go. Mount a place there that the administrator of the database cannot write."`
	NewPlace    bool          `name:"new-checkpoints" help:"DIR is a new place: make it if it is missing, and do not expect what was exported before. For the first start, or if the old place is lost."`
	Every       time.Duration `default:"1s" help:"The time between two rounds. Nothing is signed when nothing changed."`
	Patience    time.Duration `default:"1m" help:"How long a round waits for open transactions that have inserted rows. Then it goes around them."`
	Once        bool          `help:"Seal what is committed, and exit."`
	NewEpoch    *string       `placeholder:"REASON" help:"Begin a new log after a restore that lost sealed rows, and exit. The reason is put on record."`
}

// Help is shown below the command's usage.
func (c *sealRunCommand) Help() string {
	return "Sealing appends every row to a Merkle log, and signs the log's root. Whoever has an exported checkpoint and the public key can find any later edit with coordaudit verify. " +
		"Writers never wait for it. One sealer at a time seals a trail; another one waits and takes over.\n\n" +
		"It refuses to sign if the log does not fit the last exported checkpoint, or rows are not as they were sealed."
}

// Validate is called by kong.
func (c *sealRunCommand) Validate() error {
	if c.Every < time.Millisecond || c.Patience < 0 {
		return errors.New("--every must be 1ms or longer, and --patience not negative")
	}
	if c.NewEpoch != nil && strings.TrimSpace(*c.NewEpoch) == "" { // not the same as none, which would begin to seal
		return errors.New("--new-epoch needs a reason, which is put on record")
	}
	return nil
}

// Run is called by kong.
func (c *sealRunCommand) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	const tried = "sealing the trail"
	signer, err := cli.LoadKey(tried, c.Key, seal.LoadSigner)
	if err != nil {
		return err
	}
	if err := db.Check(tried); err != nil {
		return err
	}
	if err := c.findPlace(); err != nil {
		return err
	}
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	sealing, err := sealer.New(pool, sealer.Config{
		Signer: signer, Export: sealer.Directory(c.Checkpoints), NewPlace: c.NewPlace, Interval: c.Every, Patience: c.Patience,
		Logger: slog.New(slog.NewTextHandler(p.Messages(), nil)),
	})
	if err != nil {
		return cli.Misused(tried, err)
	}
	switch {
	case c.NewEpoch != nil:
		epoch, err := sealing.OpenEpoch(ctx, *c.NewEpoch)
		if err != nil {
			return shared.Failed(err)
		}
		return p.Print(fmt.Sprintf("epoch %d is open, and its first checkpoint is exported; the sealer goes on from there\n", epoch))
	case c.Once:
		progress := p.Progress(tried)
		rows, err := sealing.Once(ctx)
		progress.Stop()
		if err != nil {
			return shared.FailedIn(tried, err)
		}
		return p.Print(fmt.Sprintf("sealed %d rows; the log has %d\n", rows, sealing.Stats().Size))
	}
	if err := sealing.Run(ctx); err != nil {
		return shared.FailedIn(tried, err)
	}
	return nil
}

// findPlace refuses a directory that is not there. One that was mistyped, or is not mounted, would
// be no protected place, and nothing would be compared with what was exported before.
func (c *sealRunCommand) findPlace() error {
	tried := "looking for the directory of checkpoints " + audit.Printable(c.Checkpoints)
	_, err := os.Stat(c.Checkpoints)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return &cli.ShownError{Tried: tried, Cause: err}
	case !c.NewPlace:
		return &cli.ShownError{Tried: tried, Cause: errors.New("it does not exist"), Next: "mount it, or correct the path; for the first start, make it with mkdir, or pass --new-checkpoints"}
	}
	if _, err := os.Stat(filepath.Dir(filepath.Clean(c.Checkpoints))); err != nil {
		return &cli.ShownError{Tried: tried, Cause: err, Next: "make the directory above it, or correct the path"}
	}
	if err := durable.MakeDir(durable.OS{}, c.Checkpoints, 0o755); err != nil { // checkpoints are public
		return &cli.ShownError{Tried: "making the directory of checkpoints", Cause: err}
	}
	return nil
}

type sealKeygenCommand struct {
	File string `arg:"" help:"The new file of the private key. FILE.pub gets the public key. Neither may exist."`
	Name string `required:"" placeholder:"NAME" help:"The name of the log, such as audit.example.com/plant-7. Every checkpoint begins with it."`
}

// Run is called by kong.
func (c *sealKeygenCommand) Run(p *cli.Program) error {
	public, err := seal.CreateKey(c.File, c.Name)
	if err != nil {
		return &cli.ShownError{Tried: "making a key pair", Cause: err}
	}
	return p.Print(public + "\n")
}
