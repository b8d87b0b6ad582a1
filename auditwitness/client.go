package auditwitness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Witness is a witness as its client knows it.
type Witness struct {
	// URL is the witness's submission prefix. The client adds add-checkpoint to its path.
	URL string

	// Key verifies the witness's cosignatures. See [seal.LoadWitness].
	Key *seal.Witness

	// HTTP sends the requests, for client certificates and the like. It follows no redirect
	// in any case. Defaults to a client on [http.DefaultTransport].
	HTTP *http.Client
}

// Prover returns the proof that a log at newSize begins with what it was at oldSize. If the
// log does not reach newSize, its error matches [sealer.ErrNotSealed]; if it never had a
// checkpoint of newSize but is larger, [sealer.ErrForked]. [sealer.ProveConsistency] is one.
type Prover func(ctx context.Context, oldSize, newSize int64) ([]seal.Hash, error)

// Client asks one witness. It is safe for concurrent use.
type Client struct {
	url  string
	key  *seal.Witness
	http *http.Client

	mu    sync.Mutex
	sizes map[string]int64 // the size that the witness has, by origin, as far as this client knows
}

// NewClient returns a client of a witness. It does not connect. The error matches
// [ErrConfig].
func NewClient(witness Witness) (*Client, error) {
	if witness.Key == nil {
		return nil, fmt.Errorf("configuring a witness: its key is missing, load it with seal.LoadWitness: %w", ErrConfig)
	}
	at, err := url.Parse(witness.URL)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.RawQuery != "" || at.Fragment != "" {
		return nil, fmt.Errorf("configuring the witness %s: its URL is not http(s)://HOST/PATH: %w", audit.Printable(witness.Key.Name()), ErrConfig)
	}
	own := http.Client{}
	if witness.HTTP != nil {
		own = *witness.HTTP
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{url: at.JoinPath(addCheckpoint).String(), key: witness.Key, http: &own, sizes: map[string]int64{}}, nil
}

// Cosign asks the witness to cosign a checkpoint, which the log's key has signed, and
// returns the verified cosignature. The witness has made it durable that it saw the
// checkpoint. Asking again for the same checkpoint is allowed. ctx bounds it.
//
// If the witness has another size than this client thought, it is asked once more, with the
// proof from its size. The error matches one of [ErrUnavailable], [ErrAhead],
// [ErrRewritten], [ErrStale], [ErrRefused] and [ErrAnswer], or it is that of prove.
func (c *Client) Cosign(ctx context.Context, signed []byte, prove Prover) (seal.Cosignature, error) {
	cosignature, err := c.cosign(ctx, signed, prove)
	if err != nil {
		return seal.Cosignature{}, fmt.Errorf("asking the witness %s: %w", audit.Printable(c.key.Name()), err)
	}
	return cosignature, nil
}

func (c *Client) cosign(ctx context.Context, signed []byte, prove Prover) (seal.Cosignature, error) {
	text, checkpoint, err := textOf(signed)
	if err != nil {
		return seal.Cosignature{}, err
	}
	old := min(c.known(checkpoint.Origin), checkpoint.Size)
	cosignature, err := c.ask(ctx, text, signed, old, checkpoint, prove)
	other, conflict := errors.AsType[*sizeError](err)
	if conflict && other.size != old && other.size <= checkpoint.Size {
		old = other.size
		cosignature, err = c.ask(ctx, text, signed, old, checkpoint, prove)
		other, conflict = errors.AsType[*sizeError](err)
	}
	switch {
	case conflict && other.size > checkpoint.Size:
		return seal.Cosignature{}, judge(ctx, checkpoint.Size, other.size, prove)
	case conflict && other.size == old:
		return seal.Cosignature{}, fmt.Errorf("it says that it has size %d, and refuses a proof from there: %w", other.size, ErrAnswer)
	case conflict:
		return seal.Cosignature{}, fmt.Errorf("its size changes while it is asked, is another sealer at work: %w", ErrUnavailable)
	case err != nil:
		return seal.Cosignature{}, err
	}
	c.remember(checkpoint.Origin, checkpoint.Size)
	return cosignature, nil
}

// judge finds out what it means that the witness has a larger log than the checkpoint. If
// this log has that size by now, the checkpoint is merely old.
func judge(ctx context.Context, size, witnessed int64, prove Prover) error {
	switch _, err := prove(ctx, size, witnessed); {
	case err == nil:
		return fmt.Errorf("%w: it has size %d, and the checkpoint %d: stop the other sealer", ErrStale, witnessed, size)
	case errors.Is(err, sealer.ErrNotSealed):
		return fmt.Errorf("%w: it has size %d, and this log %d: records may be lost; if this is a restored backup, open a new epoch (coordaudit seal --new-epoch REASON)", ErrAhead, witnessed, size)
	case errors.Is(err, sealer.ErrForked):
		return fmt.Errorf("%w: it has a checkpoint of size %d, which this log never signed: keep both as evidence: %w", ErrRewritten, witnessed, err)
	default:
		return fmt.Errorf("it has size %d, and the checkpoint %d; whether the log has that size is not known: %w: %w", witnessed, size, ErrUnavailable, err)
	}
}

func (c *Client) ask(ctx context.Context, text string, signed []byte, old int64, to seal.Checkpoint, prove Prover) (seal.Cosignature, error) {
	r := request{old: old, signed: signed}
	if old > 0 && old < to.Size {
		proof, err := prove(ctx, old, to.Size)
		if err != nil {
			return seal.Cosignature{}, fmt.Errorf("proving that the log grew from size %d to %d: %w", old, to.Size, err)
		}
		r.proof = proof
	}
	answer, err := c.post(ctx, r)
	if err != nil {
		return seal.Cosignature{}, err
	}
	cosignature, err := answer.cosignature(text, c.key)
	if errors.Is(err, ErrRewritten) {
		return cosignature, fmt.Errorf("%w: the log of %d leaves does not begin with the %d that it cosigned: keep both as evidence, and run coordaudit verify with older checkpoints", err, to.Size, old)
	}
	return cosignature, err
}

func (c *Client) known(origin string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sizes[origin]
}

func (c *Client) remember(origin string, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes[origin] = size
}
