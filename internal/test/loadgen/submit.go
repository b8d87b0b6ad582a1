package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// Way is the method by which a producer submits its records.
type Way int

// The ways, and their number.
const (
	ByRecord Way = iota
	ByEnqueue
	ByEmit
	Ways
)

// Answer is what a producer knows about its record.
type Answer uint8

// The answers.
const (
	NoAnswer Answer = iota // the call has not returned
	Stored                 // Record returned nil
	Accepted               // Enqueue returned nil, Emit true, or Record that the record is pending
	Dropped                // there was no room
	Refused                // by the database
	Closed                 // the recorder is closed
	No                     // Emit returned false, which has no reason
)

// Submit submits a record and returns the answer. An error means that the recorder has
// returned an error that it must not return for a valid record.
func Submit(ctx context.Context, recorder *coordaudit.Recorder, way Way, rec audit.Record) (Answer, error) {
	var err error
	success := Accepted
	switch way {
	case ByRecord:
		success = Stored
		_, err = recorder.Record(ctx, rec)
	case ByEnqueue:
		err = recorder.Enqueue(rec) //nolint:contextcheck // Enqueue has no context because it does not wait
	default:
		if !recorder.Emit(ctx, rec) {
			return No, nil
		}
	}
	switch {
	case err == nil:
		return success, nil
	case errors.Is(err, audit.ErrPending):
		return Accepted, nil
	case errors.Is(err, audit.ErrDropped):
		return Dropped, nil
	case errors.Is(err, audit.ErrRefused):
		return Refused, nil
	case errors.Is(err, audit.ErrClosed):
		return Closed, nil
	default:
		return No, err
	}
}

// NewRecord makes a record of a random class.
func NewRecord() audit.Record {
	id, classes := uuid.New(), audit.EnvelopeClasses()
	return audit.Record{
		AuditID:              id,
		EnvelopeID:           fmt.Sprintf("envelope-%d", id[0]%100),
		EnvelopeClass:        classes[int(id[1])%len(classes)],
		Decision:             audit.Applied,
		Reason:               "applied, nothing stood in its way",
		DecisionTimestamp:    time.Now(),
		ActiveEnvelopesCount: 1,
		TenantID:             "acme",
	}
}
