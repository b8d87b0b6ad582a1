package auditwitness

import (
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/sealer"
)

// Errors of a client and of an exporter. Match them with [errors.Is].
var (
	// ErrUnavailable: the witness did not answer, cannot answer now, or its size changed
	// while it was asked. Asking again later is right.
	ErrUnavailable = errors.New("the witness is not available")

	// ErrAhead: the witness has cosigned a larger log than this one, and this log does not
	// reach that size. The end was cut off, or an older backup was restored. Do not ask
	// again. From an exporter, it matches [sealer.ErrCutOff] too.
	ErrAhead = errors.New("the witness has cosigned a larger log")

	// ErrRewritten: the log does not begin with what the witness has cosigned. It was
	// rewritten, or restored and grew again. Do not ask again. From an exporter, it matches
	// [sealer.ErrForked] too.
	ErrRewritten = errors.New("the witness has cosigned another log")

	// ErrStale: the witness has cosigned a later checkpoint of this log, and the database has
	// it. Another sealer is at work.
	ErrStale = errors.New("the witness has cosigned a later checkpoint of this log")

	// ErrRefused: the witness does not take the request. Its configuration, or that of the
	// client, must change. ErrUnknownLog, ErrWrongKey and ErrMalformed match it.
	ErrRefused = errors.New("the witness refuses the request")

	// ErrUnknownLog: the witness does not know the log (404).
	ErrUnknownLog = fmt.Errorf("%w: it does not know the log, or the URL is not its own", ErrRefused)

	// ErrWrongKey: the witness knows the log by another key (403).
	ErrWrongKey = fmt.Errorf("%w: it knows the log by another key, or the signature is wrong", ErrRefused)

	// ErrMalformed: the witness cannot read the request (400, 413), or the checkpoint that
	// was given cannot be read.
	ErrMalformed = fmt.Errorf("%w: it is malformed", ErrRefused)

	// ErrAnswer: the answer is not one of the protocol, or has no valid cosignature of the
	// witness's key. The URL may be that of another service.
	ErrAnswer = errors.New("the answer is not one of this witness")

	// ErrQuorum: fewer witnesses cosigned the checkpoint than [Config.Quorum] requires.
	ErrQuorum = errors.New("too few witnesses cosigned the checkpoint")

	// ErrConfig: a configuration cannot be used.
	ErrConfig = errors.New("invalid configuration")
)

// Errors of a [Server].
var (
	// ErrState: the state of a log cannot be read, or is older than it was. Nothing is
	// cosigned for that log.
	ErrState = errors.New("the witness's state is damaged")

	// ErrInUse: another process serves the state directory.
	ErrInUse = errors.New("another process uses the state directory")
)

// incident is an error after which the sealer must not go on.
type incident struct{ err, kind error }

func (i *incident) Error() string { return i.err.Error() }

func (i *incident) Unwrap() []error { return []error{i.err, i.kind} }

// incidentOf returns nil if the error of a client is no incident. Tiles that do not give the
// proof are one, too.
func incidentOf(err error) error {
	switch {
	case errors.Is(err, ErrAhead):
		return &incident{err: err, kind: sealer.ErrCutOff}
	case errors.Is(err, ErrRewritten):
		return &incident{err: err, kind: sealer.ErrForked}
	case errors.Is(err, sealer.ErrForked), errors.Is(err, sealer.ErrTampered):
		return err
	default:
		return nil
	}
}
