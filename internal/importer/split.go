package importer

import (
	"context"
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// refusals separates the records that are at fault, by index, from a failure of the whole
// batch. A record that the database refuses is at fault if another record of the same
// batch was accepted.
func refusals(err error) (map[int]error, error) {
	if err == nil {
		return nil, nil
	}
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok {
		return nil, err
	}
	refused := make(map[int]error, len(failed.Failures))
	someAccepted := len(failed.Failures) < failed.Total
	for _, failure := range failed.Failures {
		own := errors.Is(failure.Err, audit.ErrConflict) || errors.Is(failure.Err, audit.ErrInvalidRecord)
		if !own && (!someAccepted || !errors.Is(failure.Err, audit.ErrRefused)) {
			return nil, failure.Err.Err
		}
		refused[failure.Index] = failure.Err
	}
	return refused, nil
}

// split stores a batch that is refused as a whole, in parts down to single records. A
// record is at fault if another one is accepted: one of the batch, or one that was stored
// before and is sent again. If none is accepted, the table is the cause and every further
// attempt would fail the same way, so split returns the error of the whole batch.
func (f *fileImport) split(ctx context.Context, b *batch, whole error) (audit.Counts, map[int]error, error) {
	s := &splitting{file: f, batch: b, finished: make([]bool, len(b.records)), refused: make(map[int]error)}
	for _, i := range spread(len(b.records), sampledRecords) {
		if err := s.send(ctx, []int{i}); err != nil {
			return audit.Counts{}, nil, err
		}
	}
	byOne := false
	if !s.accepted {
		if !f.stillAccepted(ctx) {
			return audit.Counts{}, nil, fmt.Errorf("%w (so is each of the %s that were sent one by one)", whole, format.Plural(int64(len(s.refused)), "record"))
		}
		byOne = true // few of them will be accepted
	}
	var rest []int
	for i, finished := range s.finished {
		if !finished {
			rest = append(rest, i)
		}
	}
	if err := s.rest(ctx, rest, byOne); err != nil {
		return audit.Counts{}, nil, err
	}
	return s.counts, s.refused, nil
}

// splitting is a batch that is sent in parts.
type splitting struct {
	file     *fileImport
	batch    *batch
	finished []bool // by record
	accepted bool   // the table accepts records
	counts   audit.Counts
	refused  map[int]error
}

func (s *splitting) rest(ctx context.Context, indexes []int, byOne bool) error {
	if byOne {
		for _, i := range indexes {
			if err := s.send(ctx, []int{i}); err != nil {
				return err
			}
		}
		return nil
	}
	if len(indexes) == 0 {
		return nil
	}
	if err := s.send(ctx, indexes); err != nil || s.finished[indexes[0]] {
		return err
	}
	half := len(indexes) / 2
	return errors.Join(s.rest(ctx, indexes[:half], false), s.rest(ctx, indexes[half:], false))
}

// send sends a part. It finishes all of its records, or none of them if several were
// refused as a whole.
func (s *splitting) send(ctx context.Context, indexes []int) error {
	part := make([]audit.Record, len(indexes))
	for to, from := range indexes {
		part[to] = s.batch.records[from]
	}
	var results []audit.Result
	var refused map[int]error
	err := s.file.patiently(ctx, s.batch.lineOf(indexes[0]), func() (err error) {
		results, err = s.file.all.batches().PersistMany(ctx, part)
		refused, err = refusals(err)
		return err
	})
	switch {
	case errors.Is(err, audit.ErrRefused) && len(indexes) == 1:
		refused = map[int]error{0: err}
	case errors.Is(err, audit.ErrRefused):
		return nil
	case err != nil:
		return err
	default:
		s.accepted = true
	}
	for at, i := range indexes {
		s.finished[i] = true
		if err := refused[at]; err != nil {
			s.refused[i] = err
			s.counts.Failed++
			continue
		}
		switch results[at].Outcome {
		case audit.Persisted:
			s.counts.Persisted++
		default:
			s.counts.AlreadyPersisted++
		}
	}
	return nil
}

func (b *batch) lineOf(record int) int64 {
	for _, line := range b.lines {
		if line.record == record {
			return line.number
		}
	}
	return b.lines[0].number
}

// spread picks up to limit of n indexes, the first and the last among them.
func spread(n, limit int) []int {
	if n <= limit {
		limit = n
	}
	indexes := make([]int, limit)
	for i := range indexes {
		indexes[i] = i * max(n-1, 1) / max(limit-1, 1)
	}
	return indexes
}

// remember keeps a record that was stored, for stillAccepted.
func (f *fileImport) remember(b *batch, refused map[int]error) {
	for i := range b.records {
		if refused[i] == nil {
			rec := b.records[i]
			f.accepted = &rec
			return
		}
	}
}

// stillAccepted sends a record again that is already stored. A table that refuses every
// record refuses this one, too.
func (f *fileImport) stillAccepted(ctx context.Context) bool {
	if f.accepted == nil {
		return false
	}
	_, err := f.all.batches().PersistMany(ctx, []audit.Record{*f.accepted})
	return err == nil
}
