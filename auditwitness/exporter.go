package auditwitness

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Config configures an [Exporter]. Witnesses and Proofs are required.
type Config struct {
	// Witnesses are asked at the same time. Each has a key of its own.
	Witnesses []Witness

	// Quorum is how many witnesses must cosign a checkpoint before it is exported. With
	// fewer, the sealer tries again, and seals nothing on top. Defaults to 0: sealing goes on
	// without any witness, and the next checkpoint that they cosign covers all before it.
	Quorum int

	// Proofs proves how the log grew. See [Database].
	Proofs Proofs

	// Timeout bounds the asking for one checkpoint, which delays its export. Defaults to 5 s.
	Timeout time.Duration

	// Logger receives events. Defaults to slog.Default().
	Logger *slog.Logger
}

// Proofs is a [Prover] for the log of an epoch.
type Proofs func(ctx context.Context, epoch, oldSize, newSize int64) ([]seal.Hash, error)

// Database proves from the tiles in the database. Each proof takes a connection of its own
// out of the pool, which the sealer has one of already. schema may be empty.
func Database(pool *pgxpool.Pool, schema string) Proofs {
	return func(ctx context.Context, epoch, oldSize, newSize int64) ([]seal.Hash, error) {
		return sealer.ProveConsistency(ctx, pool, schema, epoch, oldSize, newSize)
	}
}

// Exporter returns an exporter that asks witnesses to cosign each checkpoint, and then
// exports it through inner with their cosignatures after the log's signature. A checkpoint
// is durable when Export returns nil, as inner says. Each witness has made durable what it
// cosigned even if inner fails afterwards; the checkpoint is then cosigned again.
//
// A witness that fails is left out for 1 s, and up to 1 minute while it keeps failing, as
// long as the others can be a quorum. Each failure is logged as
// coordination_audit_witness_failed.
//
// If any witness has cosigned a larger log or another one, nothing is exported. The error
// matches [ErrAhead] and [sealer.ErrCutOff], or [ErrRewritten] and [sealer.ErrForked], and
// the sealer stops. The event is coordination_audit_witness_incident. If there is no quorum,
// the error matches [ErrQuorum]. Otherwise it is inner's. Exporter's own error matches
// [ErrConfig].
func Exporter(inner sealer.Exporter, config Config) (sealer.Exporter, error) {
	config.Timeout = cmp.Or(config.Timeout, 5*time.Second)
	config.Logger = cmp.Or(config.Logger, slog.Default())
	switch {
	case inner == nil:
		return nil, fmt.Errorf("configuring witnesses: the inner exporter is missing, use sealer.Directory: %w", ErrConfig)
	case config.Proofs == nil:
		return nil, fmt.Errorf("configuring witnesses: Proofs is missing, use auditwitness.Database: %w", ErrConfig)
	case len(config.Witnesses) == 0 || config.Quorum < 0 || config.Quorum > len(config.Witnesses):
		return nil, fmt.Errorf("configuring witnesses: the quorum is %d of %d witnesses: %w", config.Quorum, len(config.Witnesses), ErrConfig)
	case config.Timeout < 0:
		return nil, fmt.Errorf("configuring witnesses: the timeout %v is negative: %w", config.Timeout, ErrConfig)
	}
	e := &exporter{inner: inner, config: config, now: time.Now}
	keys := make([]*seal.Witness, 0, len(config.Witnesses))
	for _, witness := range config.Witnesses {
		client, err := NewClient(witness)
		if err != nil {
			return nil, err
		}
		keys = append(keys, witness.Key)
		e.asked = append(e.asked, &asked{client: client})
	}
	if err := seal.CheckWitnesses(keys...); err != nil {
		return nil, fmt.Errorf("configuring witnesses: %w: %w", ErrConfig, err)
	}
	return e, nil
}

type exporter struct {
	inner  sealer.Exporter
	config Config
	asked  []*asked
	now    func() time.Time
}

// asked is a witness, and when it may be asked again.
type asked struct {
	client *Client

	mu    sync.Mutex
	delay time.Duration // 0 after a success
	again time.Time
}

const (
	firstDelay = time.Second
	lastDelay  = time.Minute
)

// Export implements [sealer.Exporter].
func (e *exporter) Export(ctx context.Context, epoch, size int64, signed []byte) error {
	lines, err := e.cosign(ctx, epoch, signed)
	if err != nil {
		return err
	}
	return e.inner.Export(ctx, epoch, size, append(bytes.Clone(signed), lines...))
}

// Last implements [sealer.Exporter].
func (e *exporter) Last(ctx context.Context) ([]byte, error) { return e.inner.Last(ctx) }

// cosign returns the signature lines, in the order of the witnesses.
func (e *exporter) cosign(ctx context.Context, epoch int64, signed []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	witnesses := e.due()
	found, errs := make([]seal.Cosignature, len(witnesses)), make([]error, len(witnesses))
	prove := func(ctx context.Context, oldSize, newSize int64) ([]seal.Hash, error) {
		return e.config.Proofs(ctx, epoch, oldSize, newSize)
	}
	var all sync.WaitGroup
	for i, w := range witnesses {
		all.Go(func() { found[i], errs[i] = w.client.Cosign(ctx, signed, prove) })
	}
	all.Wait()
	var lines []byte
	count := 0
	for i, w := range witnesses {
		e.report(ctx, w, errs[i])
		if errs[i] == nil {
			lines = append(lines, found[i].Line...)
			count++
		}
	}
	failed := errors.Join(errs...)
	if failed != nil {
		if stop := incidentOf(failed); stop != nil {
			return nil, stop
		}
	}
	if count < e.config.Quorum {
		return nil, fmt.Errorf("%w: %d of the %d that are required: %w", ErrQuorum, count, e.config.Quorum, failed)
	}
	return lines, nil
}

// due returns the witnesses to ask now: those that did not just fail, or all if the others
// are no quorum.
func (e *exporter) due() []*asked {
	now := e.now()
	var due []*asked
	for _, w := range e.asked {
		if w.isDue(now) {
			due = append(due, w)
		}
	}
	if len(due) < e.config.Quorum {
		return e.asked
	}
	return due
}

func (w *asked) isDue(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !now.Before(w.again)
}

// answered notes how a request ended, and returns the time until the next one.
func (w *asked) answered(now time.Time, ok bool) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ok {
		w.delay, w.again = 0, time.Time{}
		return 0
	}
	w.delay = min(max(2*w.delay, firstDelay), lastDelay)
	w.again = now.Add(w.delay)
	return w.delay
}

func (e *exporter) report(ctx context.Context, w *asked, err error) {
	delay := w.answered(e.now(), err == nil)
	if err == nil {
		return
	}
	attrs := []slog.Attr{slog.String("witness", audit.Printable(w.client.key.Name())), slog.String("error", err.Error())}
	if incidentOf(err) != nil {
		e.config.Logger.LogAttrs(ctx, slog.LevelError, "coordination_audit_witness_incident", attrs...)
		return
	}
	e.config.Logger.LogAttrs(ctx, slog.LevelWarn, "coordination_audit_witness_failed", append(attrs, slog.Duration("retry_in", delay))...)
}
