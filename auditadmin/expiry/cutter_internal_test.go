package expiry

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// However the records are scattered, what the event of a batch lists fits into an event, and no
// batch is longer than asked for.
func TestBatchFitsItsEvent(t *testing.T) {
	t.Parallel()
	const event, rest = 64 << 10, 4 << 10 // what else the event says
	random := rand.New(rand.NewPCG(1, 2))
	sources := make([]uuid.UUID, 500)
	for i := range sources {
		sources[i] = uuid.New()
	}
	for name, next := range map[string]func(seq int64) audit.Record{
		"in a row":  func(seq int64) audit.Record { return record(seq+1, sources[0], seq) },
		"scattered": func(seq int64) audit.Record { return record(seq+1+random.Int64N(9), sources[0], seq) },
		"large and mixed": func(seq int64) audit.Record {
			return record(seq+1e12+random.Int64N(1e12), sources[random.IntN(500)], 1+random.Int64N(1<<60))
		},
		"no source": func(seq int64) audit.Record { return record(seq+1+random.Int64N(3), uuid.Nil, 0) },
	} {
		c := cutter{most: 4096}
		var batch []audit.Record
		longest, batches := 0, 0
		seq := int64(0)
		for range 30_000 {
			rec := next(seq)
			seq = rec.Seq
			if c.add(&rec) {
				longest, batches = max(longest, lengthOf(t, batch)), batches+1
				batch = nil
			}
			if batch = append(batch, rec); len(batch) > 4096 {
				t.Fatalf("%s: a batch of %d", name, len(batch))
			}
		}
		if longest > event-rest || batches == 0 {
			t.Errorf("%s: %d batches, the longest list has %d bytes", name, batches, longest)
		}
	}
}

func record(seq int64, source uuid.UUID, ordinal int64) audit.Record {
	return audit.Record{Seq: seq, Origin: audit.Origin{SourceID: source, SourceSeq: ordinal}}
}

// lengthOf returns how long the lists of a batch are in its event.
func lengthOf(t *testing.T, batch []audit.Record) int {
	t.Helper()
	var seqs completeness.Set
	sources := map[string]completeness.Set{}
	for _, rec := range batch {
		seqs.Add(rec.Seq, rec.Seq)
		if rec.Origin.SourceSeq != 0 {
			set := sources[rec.Origin.SourceID.String()]
			set.Add(rec.Origin.SourceSeq, rec.Origin.SourceSeq)
			sources[rec.Origin.SourceID.String()] = set
		}
	}
	texts := map[string]string{}
	for id, set := range sources {
		texts[id] = set.String()
	}
	text, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	return len(seqs.String()) + len(text)
}
