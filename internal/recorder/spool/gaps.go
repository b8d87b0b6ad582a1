package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// timeLayout always shows microseconds, like the times of the records.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// savedGap is one line of the file.
type savedGap struct {
	GapID        string                        `json:"gap_id"`
	Dropped      map[audit.EnvelopeClass]int64 `json:"dropped"`
	FirstAuditID string                        `json:"first_audit_id"`
	LastAuditID  string                        `json:"last_audit_id"`
	From         time.Time                     `json:"from"`
	Until        time.Time                     `json:"until"`
	Cause        string                        `json:"cause"`
}

// SaveGap keeps a gap that could not be recorded in the database. When SaveGap returns nil,
// the gap is on disk, else no part of it is. The next Open finds it. Of several gaps with the
// same id it finds the one that was saved last.
func (d *Directory) SaveGap(gap audit.Gap) error {
	line, err := json.Marshal(savedGap{
		GapID:        gap.GapID.String(),
		Dropped:      gap.Dropped,
		FirstAuditID: gap.FirstAuditID.String(),
		LastAuditID:  gap.LastAuditID.String(),
		From:         gap.From.UTC(),
		Until:        gap.Until.UTC(),
		Cause:        gap.Cause,
	})
	if err == nil {
		text := bytes.NewBuffer(line)
		appendChecksum(text, 0)
		text.WriteByte('\n')
		err = d.gaps.save(text.Bytes())
	}
	if err != nil {
		return fmt.Errorf("saving a gap: %w", err)
	}
	return nil
}

// ForgetGaps removes the saved gaps, once they are recorded in the database. It keeps lines
// that are not gaps in the directory torn.
func (d *Directory) ForgetGaps() error {
	if err := d.gaps.forget(); err != nil {
		return fmt.Errorf("forgetting saved gaps: %w", err)
	}
	return nil
}

// scanGaps reads the gaps that an earlier process saved.
func (d *Directory) scanGaps(found *Found) {
	d.gaps.scan(found, func(line line) error {
		gap, err := parseGap(line)
		if err == nil {
			found.Gaps = slices.DeleteFunc(found.Gaps, func(earlier audit.Gap) bool { return earlier.GapID == gap.GapID })
			found.Gaps = append(found.Gaps, gap)
		}
		return err
	})
}

func parseGap(line line) (audit.Gap, error) {
	var saved savedGap
	if err := line.decode(&saved); err != nil {
		return audit.Gap{}, err
	}
	gap := audit.Gap{Dropped: saved.Dropped, From: saved.From, Until: saved.Until, Cause: saved.Cause}
	var errs [3]error
	gap.GapID, errs[0] = audit.ParseAuditID(saved.GapID)
	gap.FirstAuditID, errs[1] = audit.ParseAuditID(saved.FirstAuditID)
	gap.LastAuditID, errs[2] = audit.ParseAuditID(saved.LastAuditID)
	return gap, errors.Join(errs[:]...)
}
