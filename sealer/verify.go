package sealer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Verify compares every row that a checkpoint covers with what was sealed, and finds rows
// that were inserted below. It reads the whole table once, in constant memory. The error says
// that verifying was not possible. It matches an error of package seal if the checkpoint is
// not one of this log, signed by this key.
func Verify(ctx context.Context, pool *pgxpool.Pool, config VerifyConfig) (Verification, error) {
	v, err := newVerifier(ctx, pool, config)
	if err != nil {
		return Verification{}, fmt.Errorf("verifying the trail: %w", err)
	}
	defer v.conn.Close(ctx)
	if err := v.run(ctx); err != nil {
		return Verification{}, fmt.Errorf("verifying the trail: %w", err)
	}
	return v.result, nil
}

// verifier assembles what its workers find, in the order of the log.
type verifier struct {
	config   VerifyConfig
	pool     *pgxpool.Pool
	conn     *sealdriver.Conn
	result   Verification
	after    seal.Checkpoint        // the rows of whole parts before it are not read; zero for none
	size     int64                  // of the log that is verified: less than the checkpoint's if it is cut off
	stored   int64                  // of the largest checkpoint that is stored and signed: no tile behind it is one of the log
	passed   *sealdriver.Checkpoint // that is stored of the one that is verified; nil if none is
	tail     []leaf
	marks    [][]byte // of the tail; nil where none is stored
	awaited  completeness.Set
	tree     seal.Tree
	sealed   map[seal.Kind]*completeness.Set // of the kinds other than records
	shared   map[sharedSeq]bool              // of these kinds
	again    []leaf                          // of these kinds, with the seq of an earlier leaf
	ends     []int64                         // through after each part that was read
	later    map[leaf][]seal.Hash            // behind the size that is verified, in the unfinished tile of the last checkpoint
	opening  int64                           // the seq of the event that opened the epoch, which is leaf 0; 0 in the first
	through  int64                           // the highest seq of a record so far
	listed   int64                           // what the tiles say of it, which differs after rows that are not read
	forkedAt int64                           // the size of the first checkpoint that does not fit
	unsure   bool                            // a finding is about a leaf whose hash is not known
	doubted  []Finding
	doubts   []doubt   // tiles that differ from their rows, where it looks as if the tiles are wrong
	doubtful int       // how many faults they have
	signed   int64     // the largest size at which the log has a root that was signed
	savedAt  time.Time // when the progress was saved last
	expiries expiries

	distributed bool  // over the workers of a Citus cluster
	indexed     int64 // how many leaves are stored with their rows there
}

func newVerifier(ctx context.Context, pool *pgxpool.Pool, config VerifyConfig) (*verifier, error) {
	if config.Verifier == nil {
		return nil, errors.New("a verifier is missing: load the public key with seal.LoadVerifier")
	}
	epoch, checkpoint, err := seal.OpenLog(config.Checkpoint, config.Verifier)
	if err != nil {
		return nil, err
	}
	after, err := openAfter(config, epoch, checkpoint)
	if err != nil {
		return nil, err
	}
	if config.Workers <= 0 {
		config.Workers = runtime.GOMAXPROCS(0)
	}
	conn, err := sealdriver.Open(ctx, pool, config.Schema, sealdriver.Reader)
	if err != nil {
		return nil, err
	}
	return &verifier{
		config: config, pool: pool, conn: conn, after: after, size: checkpoint.Size, savedAt: time.Now(),
		result: Verification{Checkpoint: checkpoint, Epoch: epoch},
		sealed: map[seal.Kind]*completeness.Set{seal.Gap: {}, seal.Statement: {}, seal.Event: {}},
		shared: map[sharedSeq]bool{},
	}, nil
}

func (v *verifier) run(ctx context.Context) error {
	if err := mustBeOne(ctx, v.conn); err != nil {
		return err
	}
	if err := mustBeTables(ctx, v.conn); err != nil {
		return fmt.Errorf("%w: %w", ErrTampered, err)
	}
	if err := v.findTail(ctx); err != nil {
		return err
	}
	marks, err := readMarks(ctx, v.conn, v.result.Epoch, v.size)
	if err != nil {
		return err
	}
	v.marks = marks
	if err := v.findIndexed(ctx); err != nil {
		return err
	}
	if err := v.resume(); err != nil {
		return err
	}
	if err := v.expiries.load(ctx, v.conn); err != nil {
		return err
	}
	if err := v.walk(ctx); err != nil {
		return v.keep(err)
	}
	if err := v.findOthers(ctx); err != nil {
		return err
	}
	if err := v.findUnreached(ctx); err != nil {
		return err
	}
	if err := v.countUnsealed(ctx); err != nil {
		return err
	}
	v.sumExpired()
	v.judgeExpired()
	return v.judgeRoot()
}

// countUnsealed also counts up to a record that no sequence gave its seq.
func (v *verifier) countUnsealed(ctx context.Context) error {
	at, err := v.conn.Positions(ctx)
	if err != nil {
		return err
	}
	last := at.Records
	if !v.distributed {
		stored, err := v.conn.LastRecord(ctx)
		if err != nil {
			return err
		}
		last = max(last, stored)
	}
	v.result.Unsealed = max(0, last-v.through)
	return nil
}

// walk verifies the parts of the log at the same time, and takes their results in order.
func (v *verifier) walk(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, parts := v.tree.Size()/partLeaves, (v.size+partLeaves-1)/partLeaves
	next, results := make(chan int64), make(chan partResult)
	var workers sync.WaitGroup
	for range min(int64(v.config.Workers), max(parts-first, 1)) {
		workers.Go(func() { v.work(ctx, next, results) })
	}
	go func() {
		defer close(next)
		for i := first; i < parts; i++ {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() { workers.Wait(); close(results) }()

	waiting := map[int64]partResult{}
	var failed error
	for result := range results {
		if result.err != nil && failed == nil {
			failed = result.err
			cancel()
		}
		waiting[result.index] = result
		for failed == nil {
			ready, ok := waiting[v.tree.Size()/partLeaves]
			if !ok || v.tree.Size() >= v.size {
				break
			}
			delete(waiting, ready.index)
			failed = v.take(ctx, ready)
		}
	}
	if failed == nil && v.tree.Size() < v.size {
		return context.Cause(ctx)
	}
	return failed
}

func (v *verifier) work(ctx context.Context, next <-chan int64, results chan<- partResult) {
	conn, err := sealdriver.Open(ctx, v.pool, v.config.Schema, sealdriver.Reader)
	if err == nil {
		defer conn.Close(ctx)
	}
	for index := range next {
		result := partResult{index: index, err: err}
		if err == nil {
			p := part{verifier: v, conn: conn, index: index}
			result = p.verify(ctx)
		}
		select {
		case results <- result:
		case <-ctx.Done():
			return
		}
	}
}

// take appends a part to the tree, and checks the checkpoints that are stored within it.
func (v *verifier) take(ctx context.Context, result partResult) error {
	p := part{verifier: v, conn: v.conn, index: result.index, before: v.through, listed: v.listed, proved: true}
	if result.listed != v.listed || result.before != v.through && !p.isFirstRead() { // the tile before is damaged, and the worker took it at its word
		if result = p.verify(ctx); result.err != nil {
			return result.err
		}
	}
	checkpoints, err := v.conn.Checkpoints(ctx, v.result.Epoch, v.tree.Size(), v.tree.Size()+int64(len(result.hashes)))
	if err != nil {
		return err
	}
	v.count(result)
	for _, hash := range result.hashes {
		v.tree.Append(hash)
		if err := v.checkAfter(); err != nil {
			return err
		}
		if len(checkpoints) > 0 && checkpoints[0].Size == v.tree.Size() {
			if err := v.checkStored(checkpoints[0]); err != nil {
				return err
			}
			checkpoints = checkpoints[1:]
		}
	}
	if v.config.Progress != nil {
		v.config.Progress(v.tree.Size(), v.result.Checkpoint.Size)
	}
	return v.saveNowAndThen()
}

func (v *verifier) count(result partResult) {
	for _, finding := range result.findings {
		v.find(finding)
	}
	v.result.Verified += result.verified
	v.result.Skipped += result.skipped
	v.result.Awaited += result.awaited
	v.result.Expired += result.expired
	v.result.Erased += result.erased
	v.result.Claimed += result.claimed
	v.through, v.listed = result.through, result.listedThrough
	v.ends = append(v.ends, v.through)
	v.unsure = v.unsure || result.unsure
	v.doubted = append(v.doubted, result.doubted...)
	v.doubt(result.doubts)
	if result.index == 0 && v.result.Epoch > 1 && len(result.others) > 0 {
		v.opening = result.others[0].seq
	}
	for _, of := range result.others {
		if v.sealed[of.kind].Has(of.seq) {
			v.again = append(v.again, of)
		}
		v.sealed[of.kind].Add(of.seq, of.seq)
	}
	for _, of := range result.shared {
		v.shared[of] = true
	}
}

// open returns what is signed of a stored checkpoint, if that is what its row says.
func (v *verifier) open(stored sealdriver.Checkpoint) (noted seal.Checkpoint, ok bool) {
	epoch, noted, err := seal.OpenLog([]byte(stored.Note), v.config.Verifier)
	return noted, err == nil && epoch == stored.Epoch && noted.Size == stored.Size && noted.Root == stored.Root
}

// checkStored checks a stored checkpoint against its signature and the log.
func (v *verifier) checkStored(stored sealdriver.Checkpoint) error {
	root, err := v.tree.Root()
	if err != nil {
		return err
	}
	noted, ok := v.open(stored)
	switch {
	case !ok:
		v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("the stored checkpoint of size %d is not as it was signed", stored.Size)})
	case noted.Root == root:
		v.signed = stored.Size
	case !v.unsure && v.forkedAt == 0:
		v.forkedAt = stored.Size
		v.find(Finding{Fault: Forked, Text: fmt.Sprintf("the log's first %d leaves do not have the root that was signed for them", stored.Size)})
	}
	return nil
}

// judgeRoot compares the root of the whole log with the signed one.
func (v *verifier) judgeRoot() error {
	root, err := v.tree.Root()
	if err != nil {
		return err
	}
	signed := v.tree.Size() == v.result.Checkpoint.Size && root == v.result.Checkpoint.Root
	if signed {
		v.signed = v.tree.Size()
	}
	v.judgeDoubts()
	if len(v.doubted) > 0 && signed { // the marks are at fault, and not the rows
		v.result.Verified += int64(len(v.doubted))
		v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("the marks of the last %d leaves are not as they were written; their rows are as they were sealed", v.size%tileWidth)})
		return nil
	}
	for _, finding := range v.doubted {
		v.find(finding)
	}
	if v.tree.Size() == v.result.Checkpoint.Size && !signed && !v.unsure {
		v.find(Finding{Fault: Forked, Text: fmt.Sprintf("the log of %d leaves does not have the root that was signed", v.tree.Size())})
	}
	return nil
}

func (v *verifier) find(finding Finding) {
	if len(v.result.Findings) == MaxFindings {
		v.result.MoreFindings++
		return
	}
	v.result.Findings = append(v.result.Findings, finding)
}
