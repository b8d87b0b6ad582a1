package doctor

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// lastCheckpoint returns what is sealed, and how long the oldest row waits that is not. The
// checkpoint is nil if nothing is sealed.
func (x *examination) lastCheckpoint(ctx context.Context) (*sealdriver.Checkpoint, time.Duration, error) {
	conn, err := sealdriver.Open(ctx, x.pool, x.trail.Schema, sealdriver.Reader)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close(ctx)
	last, err := conn.LastCheckpoint(ctx)
	if err != nil || last == nil {
		return nil, 0, err
	}
	age, found, err := conn.UnsealedAge(ctx, last.Through)
	if err != nil || !found {
		return last, 0, err
	}
	return last, age, nil
}

// checkSealLag reports a sealer that is behind or away. To seal is the owner's choice, so a
// trail that no one seals is a notice.
func checkSealLag(ctx context.Context, x *examination) ([]Finding, error) {
	if !x.has(recordsTable, gapsTable, statementsTable, eventsTable, checkpointTable) {
		return nil, nil
	}
	last, age, err := x.lastCheckpoint(ctx)
	switch {
	case err != nil:
		return nil, err
	case last == nil:
		return []Finding{{
			Severity: Notice, Object: "the trail", Evidence: "nothing is sealed: what its owner or a superuser changes is not found",
			Repair: "coordaudit seal --key FILE --checkpoints DIR (docs/seal.md)",
		}}, nil
	case age == 0, age < x.limits.lag:
		return nil, nil
	}
	return []Finding{{
		Severity: Warning, Object: fmt.Sprintf("the log of epoch %d", last.Epoch),
		Evidence: fmt.Sprintf("the oldest row that is not sealed was stored %s ago; the last checkpoint is of %s, and what came after it is not protected",
			format.Age(age), format.Time(last.MadeAt)),
		Repair: "start coordaudit seal, or read in its log why it does not seal; see the check fence for transactions that hold it up",
	}}, nil
}

type epochKey struct {
	Epoch int64     `json:"epoch"`
	Note  string    `json:"note"`
	Made  time.Time `json:"made"`
	Age   float64   `json:"age"` // in seconds
}

// checkSealKey reports a key that was used for long. Another key needs another epoch, so the
// first checkpoint of each epoch shows since when.
func checkSealKey(ctx context.Context, x *examination) ([]Finding, error) {
	if !x.has(checkpointTable) {
		return nil, nil
	}
	table := x.table(checkpointTable)
	var found []epochKey
	err := x.ask(ctx, &found, `
		WITH RECURSIVE epochs AS (
			(SELECT c.epoch, c.note, c.made_at FROM `+table+` AS c ORDER BY c.epoch DESC, c.size DESC LIMIT 1)
			UNION ALL
			SELECT before.*
			FROM epochs
			CROSS JOIN LATERAL (
				SELECT c.epoch, c.note, c.made_at FROM `+table+` AS c WHERE c.epoch < epochs.epoch ORDER BY c.epoch DESC, c.size DESC LIMIT 1
			) AS before
		)
		SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.epoch DESC), '[]')::text
		FROM (
			SELECT f.epoch, f.note, f.made_at AS made, extract(epoch FROM pg_catalog.clock_timestamp() - f.made_at)::float8 AS age
			FROM epochs
			CROSS JOIN LATERAL (
				SELECT c.epoch, c.note, c.made_at FROM `+table+` AS c WHERE c.epoch = epochs.epoch ORDER BY c.size LIMIT 1
			) AS f
		) AS x`)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	key, since := keyOf(found[0].Note), found[0]
	for _, earlier := range found {
		if keyOf(earlier.Note) != key {
			break
		}
		since = earlier
	}
	age := seconds(since.Age)
	if age < x.limits.keyAge {
		return nil, nil
	}
	return []Finding{{
		Severity: Notice, Object: "key " + key,
		Evidence: fmt.Sprintf("signs since %s, %s: who got hold of it in that time can sign another history", format.Time(since.Made), format.Age(age)),
		Repair:   "coordaudit seal keygen with the same name, then seal with it and --new-epoch; keep the old public key for the old checkpoints (docs/seal.md)",
	}}, nil
}

// keyOf returns the name and the id of the key that signed a checkpoint.
func keyOf(signed string) string {
	_, signatures, _ := strings.Cut(signed, "\n\n")
	line, _, _ := strings.Cut(signatures, "\n")
	name, text, _ := strings.Cut(strings.TrimPrefix(line, "— "), " ")
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(bytes) < 4 {
		return name
	}
	return name + "+" + hex.EncodeToString(bytes[:4])
}

// checkExport compares the last exported checkpoint with the log: the export is what a
// restore or an administrator cannot take back.
func checkExport(ctx context.Context, x *examination) ([]Finding, error) {
	if x.config.LastExported == nil || !x.has(checkpointTable) {
		return nil, nil
	}
	signed, err := x.config.LastExported(ctx)
	if err != nil {
		return nil, err
	}
	return x.compareExport(ctx, signed)
}

func (x *examination) compareExport(ctx context.Context, signed []byte) ([]Finding, error) {
	f := Finding{Severity: Error, Object: "the last exported checkpoint"}
	if len(signed) == 0 {
		f.Severity, f.Evidence = Warning, "there is none: whoever can write the database can write another log"
		f.Repair = "coordaudit seal --checkpoints DIR, on a disk that the administrator of the database cannot write"
		return []Finding{f}, nil
	}
	epoch, exported, err := seal.OpenLog(signed, x.config.Key)
	if err != nil {
		f.Evidence, f.Repair = "it cannot be trusted: "+err.Error(), "take another copy of it; if all copies are like this, treat it as an attack (docs/seal.md)"
		return []Finding{f}, nil //nolint:nilerr // the error is what the check found
	}
	state, err := x.storedState(ctx, epoch, exported.Size)
	if err != nil {
		return nil, err
	}
	f.Object = fmt.Sprintf("the last exported checkpoint, of %d leaves of %s", exported.Size, audit.Printable(exported.Origin))
	switch {
	case state.Root == nil:
		f.Evidence = "the database has no checkpoint of that size any more: its log was set back, or replaced"
		f.Repair = "after a restore: coordaudit seal --new-epoch (docs/seal.md); else coordaudit verify --checkpoint DIR --key FILE, and keep the database as it is"
	case *state.Root != hex.EncodeToString(exported.Root[:]):
		f.Evidence = "the database has another root at that size: its history was rewritten"
		f.Repair = "coordaudit verify --checkpoint DIR --key FILE says what differs; keep the database as it is"
	case state.Behind != nil && seconds(*state.Behind) >= x.limits.export:
		f.Severity = Warning
		f.Evidence = fmt.Sprintf("the log has gone on for %s without an export: what was sealed since then can be rewritten by whoever has the key", format.Age(seconds(*state.Behind)))
		f.Repair = "fix the place of the exports (is it full, or read-only?) and start coordaudit seal again"
	default:
		return nil, nil
	}
	return []Finding{f}, nil
}

type storedState struct {
	Root   *string  `json:"root"`
	Behind *float64 `json:"behind"` // the age in seconds of the first checkpoint after it
}

func (x *examination) storedState(ctx context.Context, epoch, size int64) (state storedState, err error) {
	table := x.table(checkpointTable)
	return state, x.ask(ctx, &state, `
		SELECT pg_catalog.jsonb_build_object(
			'root', (SELECT pg_catalog.encode(c.root, 'hex') FROM `+table+` AS c WHERE c.epoch = $1::bigint AND c.size = $2::bigint),
			'behind', (
				SELECT extract(epoch FROM pg_catalog.clock_timestamp() - c.made_at)::float8
				FROM `+table+` AS c
				WHERE (c.epoch, c.size) > ($1::bigint, $2::bigint)
				ORDER BY c.epoch, c.size
				LIMIT 1
			)
		)::text`, epoch, size)
}
