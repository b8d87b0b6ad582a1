package sealer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Config configures a [Sealer]. Signer and Export are required.
type Config struct {
	// Signer signs checkpoints with an Ed25519 key. Its name is the name of the log, and the
	// origin line of its first epoch. See [github.com/hoc-analytics/coordaudit/seal.LoadSigner].
	Signer note.Signer

	// Export receives each checkpoint before anything is built on it. See [Directory].
	Export Exporter

	// NewPlace says that Export is a new place: what was exported before is not expected there.
	// Without it, a Sealer refuses (see [ErrCannotSeal]) a place that has no checkpoint of a log
	// whose checkpoints were exported, because nothing would be compared with them. Defaults to
	// false.
	NewPlace bool

	// Interval is the time between the starts of two rounds. Nothing is signed when nothing
	// changed. Defaults to 1 s.
	Interval time.Duration

	// Patience is how long a round waits for transactions that have inserted rows and are
	// still open. Then it seals what is committed. Their rows are sealed later, after those
	// of their neighbours. Defaults to 1 minute.
	Patience time.Duration

	// Schema is the schema of the trail. Defaults to the first on the search_path that has
	// one.
	Schema string

	// Logger receives events. Defaults to slog.Default().
	Logger *slog.Logger
}

// Exporter keeps checkpoints in a place that the administrator of the database cannot write.
type Exporter interface {
	// Export keeps a signed checkpoint. A nil error means that it is durable. It must never
	// replace another checkpoint of the same epoch and size. The same one again is no error,
	// also if the cosignatures of witnesses that follow the log's signature are others.
	Export(ctx context.Context, epoch, size int64, signed []byte) error

	// Last returns the signed checkpoint of the highest epoch and size that was exported,
	// or nil if there is none.
	Last(ctx context.Context) ([]byte, error)
}

func (c Config) withDefaults() Config {
	c.Interval = cmp.Or(c.Interval, time.Second)
	c.Patience = cmp.Or(c.Patience, time.Minute)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	var faults []error
	if c.Signer == nil {
		faults = append(faults, errors.New("a signer is missing: load a key with seal.LoadSigner, made by coordaudit seal keygen"))
	}
	if c.Export == nil {
		faults = append(faults, errors.New("an exporter is missing: without an exported checkpoint nothing can be proved against the database, use sealer.Directory"))
	}
	if c.Interval < 0 || c.Patience < 0 {
		faults = append(faults, fmt.Errorf("interval %v and patience %v must not be negative", c.Interval, c.Patience))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("configuring the sealer: %w", err)
	}
	return nil
}
