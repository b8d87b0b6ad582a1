package console

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/sealstate"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// sealView is the page of the sealed log. The log belongs to all tenants, and holds digests
// alone.
type sealView struct {
	Unread   string // why the log is not known
	NoTables bool
	Size     int64
	Epoch    int64
	Origin   string
	Root     string
	MadeAt   time.Time
	Unsealed int64
	AtLeast  bool
	KeyName  string // of the key that proofs are verified with; empty if there is none
	Foreign  bool   // the key did not sign the last checkpoint, or not with this size and root
}

func (c *Console) seal(ctx context.Context, _ *visit) (view, error) {
	var page sealView
	if c.config.Verifier != nil {
		page.KeyName = c.config.Verifier.Name()
	}
	log, err := sealer.Describe(ctx, c.config.Pool, "")
	switch {
	case err != nil && ctx.Err() != nil:
		return view{}, err
	case err != nil:
		page.Unread = unreadLog(err)
		c.logUnread(ctx, sealstate.Cause(err))
	case !log.HasTables:
		page.NoTables = true
	default:
		page.Size, page.Epoch, page.Origin, page.MadeAt = log.Size, log.Epoch, log.Origin, log.MadeAt
		page.Unsealed, page.AtLeast = log.Unsealed, log.Unsealed == sealer.MaxUnsealed
		page.Foreign = c.config.Verifier != nil && !sealstate.IsSigned(log, c.config.Verifier)
		page.Root = base64.StdEncoding.EncodeToString(log.Root[:])
	}
	return view{Title: "Seal", Data: page}, nil
}

// proof sends the proof of a record of the scope as a file.
func (c *Console) proof(w http.ResponseWriter, r *http.Request) {
	v, wrong := c.visit(r, nil)
	if wrong != nil {
		c.fail(w, r, wrong)
		return
	}
	var sealed sealstate.State
	_, wrong = c.query(r.Context(), v, c.config.QueryTimeout, func(ctx context.Context, v *visit) (view, error) {
		id, err := audit.ParseAuditID(v.id)
		if err != nil {
			return view{}, badID()
		}
		if _, err := c.config.Store.Get(ctx, v.scope, id); err != nil {
			return view{}, err
		}
		sealed = sealstate.Of(ctx, c.config.Pool, id, c.config.Verifier)
		return view{}, sealed.Unread
	})
	switch {
	case wrong != nil:
		c.fail(w, r, wrong)
	case sealed.Proof == "":
		c.fail(w, r, &fault{
			status: http.StatusNotFound, title: "No proof", text: "There is no proof of this record: " + sealVerdict(sealed) + ".",
			next: "Look at the record.", links: []link{{"The record", "/records/" + strings.ToLower(v.id)}},
		})
	default:
		writeSoon(w)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+strings.ToLower(v.id)+`.proof"`)
		_, _ = w.Write([]byte(sealed.Proof)) // a client that leaves needs no answer
	}
}

// find leads to a record by its id, or to the timeline of an envelope.
func (c *Console) find(w http.ResponseWriter, r *http.Request) {
	v, wrong := c.visit(r, []string{"q"})
	if wrong != nil {
		c.fail(w, r, wrong)
		return
	}
	text := strings.TrimSpace(v.text("q"))
	none := &parameters{}
	target := "/records"
	if id, err := audit.ParseAuditID(text); err == nil {
		target = recordURL(id)
	} else if text != "" {
		target = none.with("/timeline", paramEnvelope, text)
	}
	http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // its path is one of the console's
}

// unreadLog says why the log could not be read.
func unreadLog(err error) string {
	switch {
	case errors.Is(err, audit.ErrRefused):
		text, next := refusal(err)
		return text + " " + next
	case isLocked(err):
		return locked + " Load the page again in a moment."
	case errors.Is(err, audit.ErrLimit): // it is also ErrUnavailable
		return "A limit of the database ended the query."
	case errors.Is(err, audit.ErrUnavailable), errors.Is(err, audit.ErrClosed):
		return "The console cannot reach the database. Load the page again in a moment."
	default:
		return "It could not be read. The log of the console has the cause."
	}
}
