package expiry

import (
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
)

// Errors of this package. Each text names the cause and the next step. Match them with
// [errors.Is]. Where one is returned, nothing was changed, unless the text says how far an
// expiry has come.
var (
	// ErrTooYoung: the horizon is in the future, or nearer than the minimum age.
	ErrTooYoung = errors.New("the horizon is too near")

	// ErrHeld: a hold names some of the records.
	ErrHeld = errors.New("records are held")

	// ErrNothing: there is nothing to archive.
	ErrNothing = errors.New("there is nothing to archive")

	// ErrArchive: the archive is missing, altered, or one of another trail.
	ErrArchive = errors.New("the archive is not as it was written")

	// ErrCount: the table does not hold what the archive holds.
	ErrCount = errors.New("the table does not hold what the archive holds")

	// ErrCheckpoint: the checkpoint is not an exported one that covers the records.
	ErrCheckpoint = errors.New("the checkpoint does not cover the records")

	// ErrNotAllowed: the role may not do it, or no one may yet.
	ErrNotAllowed = errors.New("not allowed")

	// ErrNoSuch: there is no such hold, or no such text.
	ErrNoSuch = errors.New("there is no such thing")
)

// explained gives an error of the database the kind that callers match.
func explained(err error) error {
	if refused, ok := errors.AsType[*sealdriver.RefusedError](err); ok {
		kinds := map[string]error{
			sealdriver.StateTooYoung: ErrTooYoung, sealdriver.StateHeld: ErrHeld, sealdriver.StateCount: ErrCount,
			sealdriver.StateCheckpoint: ErrCheckpoint, sealdriver.StateNoSuch: ErrNoSuch,
		}
		if kind := kinds[refused.SQLState]; kind != nil {
			return fmt.Errorf("%w: %w", kind, refused)
		}
		return refused
	}
	if sealdriver.Forbidden(err) {
		return fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	if errors.Is(err, audit.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrNoSuch, err)
	}
	return err
}
