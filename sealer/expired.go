package sealer

import (
	"context"
	"fmt"
	"sync"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// expiries are the batches that events say are expired. The workers share them.
type expiries struct {
	mu   sync.Mutex
	list []sealdriver.Expiry
}

func (e *expiries) load(ctx context.Context, conn *sealdriver.Conn) error {
	list, err := conn.Expiries(ctx)
	if err != nil {
		return fmt.Errorf("reading what is expired: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = list
	return nil
}

// between returns the events with records in a range of seqs.
func (e *expiries) between(first, last int64) (events []int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, of := range e.list {
		if of.FirstSeq <= last && of.LastSeq >= first {
			events = append(events, of.Event)
		}
	}
	return events
}

// readExpired reads which records of the part are on record as expired, before their rows are
// read. So a row that is there all the same was not removed by the transaction that says so.
func (p *part) readExpired(ctx context.Context) (err error) {
	p.expired, err = p.expiredSeqs(ctx)
	return err
}

func (p *part) expiredSeqs(ctx context.Context) (completeness.Set, error) {
	var first, last int64
	records := false
	for _, of := range p.leaves {
		if of.kind != seal.Record {
			continue
		}
		if !records {
			first, last, records = of.seq, of.seq, true
		}
		first, last = min(first, of.seq), max(last, of.seq)
	}
	if !records {
		return nil, nil
	}
	return p.conn.ExpiredSeqs(ctx, p.verifier.expiries.between(first, last))
}

// isExpired reports whether an event accounts for a missing row. What is missing and not known
// to be expired may have been removed since the events were read, so they are read again, once.
func (p *part) isExpired(ctx context.Context, i int) (bool, error) {
	of := p.leaves[i]
	if of.kind != seal.Record || !p.known[i] {
		return false, nil
	}
	if p.expired.Has(of.seq) {
		return true, nil
	}
	if p.expiredNow == nil {
		if err := p.verifier.expiries.load(ctx, p.conn); err != nil {
			return false, err
		}
		now, err := p.expiredSeqs(ctx)
		if err != nil {
			return false, err
		}
		p.expiredNow = &now
	}
	return p.expiredNow.Has(of.seq), nil
}

// judgeExpired compares how many records are taken for expired with how many the events say. What a
// tile says of the seq of a leaf without a row is covered by no hash: it could name a record that did
// expire, and so excuse another one. What expired before the epoch began has no leaf in its log.
func (v *verifier) judgeExpired() {
	named := int64(0)
	for _, of := range v.expiries.list {
		if of.Event > v.opening {
			named += of.Records
		}
	}
	if v.result.Expired > named {
		v.find(Finding{Fault: Missing, Text: fmt.Sprintf(
			"%d records that were sealed are not there, and the events of this log say of %d that they expired: the lists of leaves were changed to hide which ones did not", v.result.Expired, named)})
	}
}

// ExpiredArchive is what events say of one archive: how many records were moved there.
type ExpiredArchive struct {
	Archive string // its digest, in hexadecimal
	Records int64
	Batches int64

	// Unsealed counts the batches whose event the checkpoint does not cover.
	Unsealed int64
}

// sumExpired lists the archives in the order of their first event.
func (v *verifier) sumExpired() {
	places := map[string]int{}
	for _, of := range v.expiries.list {
		at, known := places[of.Archive]
		if !known {
			at = len(v.result.Archives)
			places[of.Archive] = at
			v.result.Archives = append(v.result.Archives, ExpiredArchive{Archive: of.Archive})
		}
		sum := &v.result.Archives[at]
		sum.Batches++
		sum.Records += of.Records
		if !v.sealed[seal.Event].Has(of.Event) {
			sum.Unsealed++
		}
	}
}
