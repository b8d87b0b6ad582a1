package sealer

import (
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/seal"
)

// VerifyConfig says what to verify against. Checkpoint and Verifier are required. They must
// not come from the database.
type VerifyConfig struct {
	// Checkpoint is a signed checkpoint, as it was exported.
	Checkpoint []byte

	// Verifier is the public key of the log.
	Verifier note.Verifier

	// After is an older checkpoint of the same epoch, as it was exported. Then only the rows
	// after it are compared, and up to 65,536 before them. For the others, their sealed hashes
	// are checked against both checkpoints. Defaults to none: every row is compared.
	After []byte

	// Resume is what Save was last given, by a verification that was interrupted. It goes on
	// from there. Rows that were compared before are not read again. Defaults to none.
	Resume []byte

	// Save is called with the progress so far, every few seconds and when ctx ends. Its error
	// ends the verification. It may be nil.
	Save func(progress []byte) error

	// Schema is the schema of the trail. Defaults to the only one that has a trail, or to the
	// first on the search_path that the pool's configuration names. If there are several, and it
	// names none, that is an error: a setting of the database could lead to a copy.
	Schema string

	// Cluster says that the trail is on a Citus cluster. There a record that is inserted among
	// sealed ones is sealed next, and not found. So a database that says that it is one is an
	// error without this: its owner could make it say so. Defaults to false.
	Cluster bool

	// Workers is how many connections read and hash at the same time. Defaults to the
	// number of cores.
	Workers int

	// Progress is called after each part, with the leaves that are verified and those that
	// the checkpoint covers. It may be nil.
	Progress func(verified, total int64)
}

// Fault is what is wrong with a row, or with the log.
type Fault string

// The faults that [Verify] finds.
const (
	Edited   Fault = "edited"   // a row is not what was sealed
	Missing  Fault = "missing"  // a sealed row is not there
	Inserted Fault = "inserted" // a row stands below the last sealed one, and was never sealed
	CutOff   Fault = "cut off"  // the log is shorter than the checkpoint says
	Forked   Fault = "forked"   // the log does not have the root that was signed
	Damaged  Fault = "damaged"  // a tile, a stored checkpoint or an index is not as it was written

	// NotExpired: an event says that the record expired, and it is there. The event and the
	// removal are one transaction, so one of them was forged.
	NotExpired Fault = "not expired"
)

// Finding is one fault. ID is zero where no row can be read.
type Finding struct {
	Fault Fault
	Kind  seal.Kind // of the row; 0 if the fault is the log's
	Seq   int64     // of the row
	ID    uuid.UUID // of the row
	Text  string    // the fault in words
}

// Verification is the result of [Verify].
type Verification struct {
	Checkpoint seal.Checkpoint
	Epoch      int64
	Verified   int64 // leaves whose rows are as they were sealed
	Skipped    int64 // leaves before [VerifyConfig.After] whose rows were not read
	Erased     int64 // of the verified ones, those with a text that was erased, on record
	Claimed    int64 // of the verified ones, those that were sealed with a text that reads as erased: a writer or an import stored it so
	Expired    int64 // leaves whose records are not there, and an event says that they expired
	Awaited    int64 // rows that are committed and not sealed yet, below the last sealed one
	Unsealed   int64 // seqs of records that were given after the last one that is covered
	Findings   []Finding

	// UnsealedOthers counts gaps, statements and events that wait to be sealed: they stand after
	// the last one of their kind that is covered.
	UnsealedOthers int64

	// Archives are those that events name. Each has the records that left the trail.
	Archives []ExpiredArchive

	// MoreFindings counts what was found beyond the first [MaxFindings].
	MoreFindings int64
}

// MaxFindings bounds the findings that a [Verification] lists.
const MaxFindings = 10_000
