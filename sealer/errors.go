package sealer

import "errors"

// Errors of a Sealer. Each text names the cause and the next step. Match them with
// [errors.Is].
var (
	// ErrSealedElsewhere: another sealer holds the lock.
	ErrSealedElsewhere = errors.New("another sealer is at work: stop it first")

	// ErrCannotSeal: the database, the role's rights or the place of the exports do not allow
	// sealing. The text says why and what repairs it. Nothing was exported.
	ErrCannotSeal = errors.New("cannot seal here")

	// ErrCutOff: the log in the database is shorter than the last exported checkpoint, as
	// after a restore of an older backup. Nothing was signed.
	ErrCutOff = errors.New("the log is shorter than its last exported checkpoint")

	// ErrForked: the log in the database is not the one that the exported checkpoint was
	// signed for. Nothing was signed.
	ErrForked = errors.New("the log differs from its last exported checkpoint")

	// ErrTampered: rows, tiles or checkpoints in the database are not as they were sealed.
	// Nothing was signed.
	ErrTampered = errors.New("not as it was sealed")

	// ErrExport: a checkpoint could not be exported, or the last one could not be read.
	// Nothing is signed on top of a checkpoint that is not exported.
	ErrExport = errors.New("the checkpoint is not exported")

	// ErrNotSealed: the record is stored, but no checkpoint covers it yet.
	ErrNotSealed = errors.New("not sealed yet")

	// ErrProgress: the progress that a verification was to resume from is damaged, or is that
	// of another verification.
	ErrProgress = errors.New("the saved progress does not fit: begin again without it")
)
