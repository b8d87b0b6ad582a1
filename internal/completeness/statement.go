package completeness

import (
	"time"

	"github.com/google/uuid"
)

// Kind is what a statement is about.
type Kind string

// The kinds of statements.
const (
	Opened   Kind = "opened"
	Periodic Kind = "periodic"
	Closed   Kind = "closed"

	// Imported is the kind of the one statement about a source whose records came from a file.
	// Its own account is in the trail that the file was exported from.
	Imported Kind = "imported"
)

// Statement is what a source says of itself at one moment.
type Statement struct {
	SourceID uuid.UUID
	Number   int64 // from 1, without holes
	Kind     Kind

	// AcceptedThrough is the highest ordinal that was given, ReservedThrough the highest one
	// that may be given before the next statement.
	AcceptedThrough, ReservedThrough int64

	// Dropped, Rejected and AlreadyPersisted are the ordinals that will never come, as far as
	// no earlier statement says so. One that is waiting as well may have a row nevertheless: an
	// attempt to store its record got no answer, or its line was still in the spool.
	Dropped, Rejected, AlreadyPersisted Set

	// Waiting are all ordinals that were given and are not decided. It replaces what earlier
	// statements say. If it is too long for one statement, the next one continues it.
	Waiting          Set
	WaitingContinues bool

	// Label says who the source is: host, process, program.
	Label string

	// Seq and MadeAt are the database's.
	Seq    int64
	MadeAt time.Time
}

// continues reports whether s is the next part of a statement that was too long for one.
func (s *Statement) continues(before *Statement) bool {
	return before.WaitingContinues && s.Number == before.Number+1 && s.Label == before.Label &&
		s.AcceptedThrough == before.AcceptedThrough && s.ReservedThrough == before.ReservedThrough
}

// MaxRanges bounds the ranges of one statement, so that its sets take less than 64 KiB as
// text: a range takes 42 bytes at most.
const MaxRanges = 1500

// split returns the statement as one or more, each with at most most ranges. The numbers
// follow each other.
func (s Statement) split(most int) []Statement {
	sets := [...]Set{s.Dropped, s.Rejected, s.AlreadyPersisted, s.Waiting}
	var parts []Statement
	for {
		part, room := s, most
		part.Number = s.Number + int64(len(parts))
		if part.Kind == Opened && len(parts) > 0 {
			part.Kind = Periodic
		}
		for i, into := range [...]*Set{&part.Dropped, &part.Rejected, &part.AlreadyPersisted, &part.Waiting} {
			n := min(room, len(sets[i]))
			*into, sets[i] = sets[i][:n:n], sets[i][n:]
			room -= n
		}
		parts = append(parts, part)
		if len(sets[0])+len(sets[1])+len(sets[2])+len(sets[3]) == 0 {
			break
		}
	}
	for i := range parts[:len(parts)-1] {
		parts[i].WaitingContinues = true
		if parts[i].Kind == Closed { // only the last one closes the source
			parts[i].Kind = Periodic
		}
	}
	return parts
}
