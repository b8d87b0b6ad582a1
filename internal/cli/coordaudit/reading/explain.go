package reading

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Explain is the command explain.
type Explain struct {
	ID       string             `arg:"" help:"The audit id of the record, a UUID."`
	Scope    shared.ScopeFlags  `embed:""`
	TraceURL string             `name:"trace-url" placeholder:"URL" help:"The address of a trace in your tracing system, with {trace_id} in the place of its id."`
	Key      string             `placeholder:"KEY" help:"Verify the proof of the record with this key. ${key_help}"`
	Timeout  shared.TimeoutFlag `embed:""`
	JSON     bool               `name:"json" help:"Print the explanation as one JSON object, with every record that it rests on and the proof."`
}

// Help is shown below the command's usage.
func (c *Explain) Help() string {
	return "It finds the other envelope's own decision by caused_by, or else by a rule, and says which. It shows records of the scope only: what lies outside is absent, as if it were not stored.\n\n" +
		"Exit status: 0 explained, 1 the command failed, or the record is not as it was sealed, 2 wrong usage."
}

// Validate is called by kong.
func (c *Explain) Validate() error {
	errs := []error{c.Scope.Validate(), c.Timeout.Validate()}
	if c.TraceURL != "" && !strings.Contains(c.TraceURL, "{trace_id}") {
		errs = append(errs, errors.New("--trace-url must contain {trace_id}"))
	}
	return shared.Together(errs...)
}

// Run is called by kong.
func (c *Explain) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	id, err := shared.ParseAuditID(c.ID)
	if err != nil {
		return err
	}
	scope := c.Scope.Scope()
	tried := fmt.Sprintf("explaining audit record %s for %s", id, scope)
	var key note.Verifier
	if c.Key != "" {
		if key, err = seal.LoadVerifier(c.Key); err != nil {
			return cli.Usage(tried, err, "")
		}
	}
	var e audit.Explanation
	err = c.Timeout.Reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		e, err = store.Explain(ctx, scope, id)
		return err
	})
	if err != nil {
		return err
	}
	sealed, err := c.sealed(ctx, db, id, key, tried)
	if err != nil {
		return err
	}
	if err := c.print(p, tried, e, sealed); err != nil {
		return err
	}
	if sealed.State == sealTampered {
		return cli.ErrReported
	}
	return nil
}

func (c *Explain) print(p *cli.Program, tried string, e audit.Explanation, sealed sealedJSON) error {
	if c.JSON {
		object, err := explanationObject(e, sealed)
		if err != nil {
			return &cli.ShownError{Tried: tried, Cause: err}
		}
		return p.PrintJSON(tried, object)
	}
	var text strings.Builder
	for _, line := range format.Explanation(e, format.Explained{
		ScopeFlags: format.ScopeFlags(c.Scope.Scope()), TraceURL: c.TraceURL, Sealed: sealed.text(e.Record.AuditID),
	}) {
		fmt.Fprintf(&text, "%-9s  %s\n", line.Label, line.Text)
	}
	return p.Print(text.String())
}

// The states of a record in the sealed log.
const (
	sealSealed   = "SEALED"
	sealNot      = "NOT_SEALED"
	sealTampered = "TAMPERED"
	sealUnread   = "UNREAD"
)

// sealedJSON says whether the record is sealed. It is read after the explanation, at another
// moment.
type sealedJSON struct {
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"` // why it is not known, or what is wrong
	Origin string `json:"origin,omitempty"`
	Index  *int64 `json:"index,omitempty"` // the place in the log
	Size   int64  `json:"size,omitempty"`  // of the log under the checkpoint

	// Verified says that the proof was verified with the key.
	Verified bool   `json:"verified"`
	Proof    string `json:"proof,omitempty"`
}

func (s sealedJSON) text(id uuid.UUID) string {
	switch s.State {
	case sealSealed:
		text := fmt.Sprintf("leaf %d of %s, under its checkpoint of %s", *s.Index, s.Origin, format.Plural(s.Size, "row"))
		if s.Verified {
			return text + ", proof verified"
		}
		return text + fmt.Sprintf(": coordaudit prove %s writes the proof", id)
	case sealNot:
		return "not sealed yet"
	case sealTampered:
		return "NOT AS IT WAS SEALED: " + s.Detail
	default:
		return "not known: " + s.Detail
	}
}

// sealed proves the record by the stored log. Only an interruption is an error: an
// explanation is an answer without the seal as well.
func (c *Explain) sealed(ctx context.Context, db *shared.Database, id uuid.UUID, key note.Verifier, tried string) (sealedJSON, error) {
	bounded, cancel := context.WithTimeout(ctx, min(c.Timeout.Timeout, 15*time.Second))
	defer cancel()
	pool, err := db.OpenPool(bounded, tried)
	if err != nil {
		return sealedJSON{State: sealUnread, Detail: format.OneLine(err)}, nil
	}
	defer pool.Close()
	proof, err := sealer.Prove(bounded, pool, "", id)
	switch {
	case ctx.Err() != nil:
		return sealedJSON{}, &cli.ShownError{Tried: tried, Cause: cli.ErrInterrupted}
	case errors.Is(err, sealer.ErrNotSealed):
		return sealedJSON{State: sealNot}, nil
	case errors.Is(err, sealer.ErrTampered):
		return sealedJSON{State: sealTampered, Detail: causeOf(err)}, nil
	case err != nil:
		return sealedJSON{State: sealUnread, Detail: causeOf(err)}, nil
	}
	return proved(proof, key), nil
}

// causeOf is the text of an error without what was tried.
func causeOf(err error) string {
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	return format.OneLine(err)
}

// proved describes a proof. Without a key it is what the database claims.
func proved(proof seal.Proof, key note.Verifier) sealedJSON {
	bundle, err := proof.MarshalText()
	if err != nil {
		return sealedJSON{State: sealTampered, Detail: format.OneLine(err)}
	}
	var checkpoint seal.Checkpoint
	if key != nil {
		checkpoint, err = proof.Verify(key.Name(), key)
	} else {
		text, _, _ := bytes.Cut(proof.Checkpoint, []byte("\n\n"))
		checkpoint, err = seal.ParseCheckpointText(string(text) + "\n")
	}
	if err != nil {
		return sealedJSON{State: sealTampered, Detail: causeOf(err)}
	}
	return sealedJSON{
		State: sealSealed, Origin: checkpoint.Origin, Index: &proof.Index, Size: checkpoint.Size, Verified: key != nil, Proof: string(bundle),
	}
}
