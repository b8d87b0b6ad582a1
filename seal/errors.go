package seal

import "errors"

// The errors of this package match one of these with [errors.Is], or are those of a
// reader or a file. They repeat neither values of a row nor key material.
var (
	// ErrRow: the row does not have the form of its kind: an unknown kind or version,
	// another number of values, or a value that is not the binary form of its column's type.
	ErrRow = errors.New("row does not have the form of its kind")

	// ErrBounds: an index or a size lies outside the log.
	ErrBounds = errors.New("index or size outside the log")

	// ErrTile: the tiles do not have the root that they were checked against. One of them
	// is damaged or was edited, or the root is that of another log.
	ErrTile = errors.New("tiles do not match the root")

	// ErrProof: the proof does not hold. The leaf, its place, the root or the proof was
	// altered.
	ErrProof = errors.New("proof does not hold")

	// ErrMalformed: a text is not a checkpoint, or not a proof bundle.
	ErrMalformed = errors.New("malformed")

	// ErrUnsigned: no given key of the log signed the checkpoint, or a signature of one is
	// wrong.
	ErrUnsigned = errors.New("not signed by a known key of the log")

	// ErrUncosigned: fewer of the given witnesses cosigned the checkpoint than are required.
	ErrUncosigned = errors.New("not cosigned by enough witnesses")

	// ErrOrigin: the checkpoint is that of another log or another epoch.
	ErrOrigin = errors.New("checkpoint of another origin")

	// ErrName: the name cannot be that of a log.
	ErrName = errors.New("invalid log name")

	// ErrKey: a key or a key file cannot be used.
	ErrKey = errors.New("unusable key")
)
