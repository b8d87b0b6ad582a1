// Package deadletter is the directory in which a recorder keeps records while the
// database is away. What Append took is on disk: it survives the process and, as
// far as the disk keeps what fsync promised, the machine.
//
// # Layout
//
//	lock               held while the directory is open
//	0000000001.jsonl   segments: one record a line, in the form that coordaudit import reads
//	torn/              ends of segments that a crash cut off, and lines longer than any record
//	rejected/          records that the database refused and lines that are none, each with its reason
//	gaps.jsonl         gaps that could not be recorded in the database
//
// Other files are left alone. Segments are numbered in the order in which they were
// begun. They are only appended to, by one Append after the other, and removed as a
// whole, once all of their records were taken and done.
//
// # What a crash leaves
//
// A record may be given again after it was stored: its segment is removed later than
// its commit. A record whose Append failed may be given, too, if the crash came before
// the failed write was cut off again. Neither does harm, since persisting the same id
// and content twice stores one row. What is never given is a part of a line: a line
// counts by its line end, which is written last, and what follows the last one is
// kept in torn.
package deadletter
