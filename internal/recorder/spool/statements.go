package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// savedStatement is one line of the file of statements. Its sets are written as PostgreSQL
// writes an int8multirange.
type savedStatement struct {
	SourceID         string            `json:"source_id"`
	Number           int64             `json:"statement_no"`
	Kind             completeness.Kind `json:"kind"`
	AcceptedThrough  int64             `json:"accepted_through"`
	ReservedThrough  int64             `json:"reserved_through"`
	Dropped          string            `json:"dropped"`
	Rejected         string            `json:"rejected"`
	AlreadyPersisted string            `json:"already_persisted"`
	Waiting          string            `json:"waiting"`
	WaitingContinues bool              `json:"waiting_continues"`
	Label            string            `json:"label"`
}

// SaveStatements keeps statements that are not in the database. When it returns nil, all of
// them are on disk, else no part of them is. The next Open finds them.
func (d *Directory) SaveStatements(statements []completeness.Statement) error {
	var text bytes.Buffer
	for i := range statements {
		line, err := json.Marshal(toSaved(&statements[i]))
		if err != nil {
			return fmt.Errorf("saving statements: %w", err)
		}
		begin := text.Len()
		text.Write(line)
		appendChecksum(&text, begin)
		text.WriteByte('\n')
	}
	if err := d.statements.save(text.Bytes()); err != nil {
		return fmt.Errorf("saving statements: %w", err)
	}
	return nil
}

// ForgetStatements removes the saved statements, once they are in the database and no segment
// holds records that they speak of.
func (d *Directory) ForgetStatements() error {
	if err := d.statements.forget(); err != nil {
		return fmt.Errorf("forgetting saved statements: %w", err)
	}
	return nil
}

func (d *Directory) scanStatements(found *Found) {
	type key struct {
		source uuid.UUID
		number int64
	}
	places := map[key]int{}
	d.statements.scan(found, func(line line) error {
		s, err := parseStatement(line)
		if err != nil {
			return err
		}
		at, again := places[key{s.SourceID, s.Number}]
		if again { // renumbered, or saved twice
			found.Statements[at] = s
			return nil
		}
		places[key{s.SourceID, s.Number}] = len(found.Statements)
		found.Statements = append(found.Statements, s)
		return nil
	})
}

func toSaved(s *completeness.Statement) savedStatement {
	return savedStatement{
		SourceID: s.SourceID.String(), Number: s.Number, Kind: s.Kind,
		AcceptedThrough: s.AcceptedThrough, ReservedThrough: s.ReservedThrough,
		Dropped: s.Dropped.String(), Rejected: s.Rejected.String(), AlreadyPersisted: s.AlreadyPersisted.String(),
		Waiting: s.Waiting.String(), WaitingContinues: s.WaitingContinues, Label: s.Label,
	}
}

func parseStatement(line line) (completeness.Statement, error) {
	var saved savedStatement
	if err := line.decode(&saved); err != nil {
		return completeness.Statement{}, err
	}
	s := completeness.Statement{
		Number: saved.Number, Kind: saved.Kind, AcceptedThrough: saved.AcceptedThrough, ReservedThrough: saved.ReservedThrough,
		WaitingContinues: saved.WaitingContinues, Label: saved.Label,
	}
	var errs [5]error
	s.SourceID, errs[0] = audit.ParseAuditID(saved.SourceID)
	s.Dropped, errs[1] = completeness.ParseSet(saved.Dropped)
	s.Rejected, errs[2] = completeness.ParseSet(saved.Rejected)
	s.AlreadyPersisted, errs[3] = completeness.ParseSet(saved.AlreadyPersisted)
	s.Waiting, errs[4] = completeness.ParseSet(saved.Waiting)
	return s, errors.Join(errs[:]...)
}
