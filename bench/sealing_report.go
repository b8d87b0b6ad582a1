package main

import (
	"fmt"
	"strings"
	"time"
)

// String formats the figures as docs/benchmarks-sealing.md.
func (f *sealingFigures) String() string {
	var text strings.Builder
	text.WriteString(`# Sealing and following

This page says how fast a trail is sealed, verified, proved and followed, how far a sealer and a follower are behind, and what they cost the writers
next to them. ` + "`make bench-sealing`" + ` writes it. [seal.md](seal.md) and [following.md](following.md) say what they do.

`)
	text.WriteString(f.conditions.String())
	if f.conditions.Note != "" {
		text.WriteString("\n**" + f.conditions.Note + "**\n")
	}
	f.writeTrails(&text)
	f.writeLag(&text)
	f.writeNeighbours(&text)
	text.WriteString(howToReadSealing)
	return text.String()
}

func (f *sealingFigures) writeTrails(text *strings.Builder) {
	text.WriteString(`
## A trail that stands still

| records | sealed/s | cores, µs/record | verified/s | cores, µs/record | followed/s | tiles, bytes/record | a proof, ms | the same again, ms | opening a Prover, ms | a bundle, bytes | of these the record |
|---|---|---|---|---|---|---|---|---|---|---|---|
`)
	for _, t := range f.trails {
		fmt.Fprintf(text, "| %s | %s | %.1f | %s | %.1f | %s | %.1f | %.2f | %.2f | %.0f | %s | %s |\n",
			thousands(int64(t.records)), thousands(int64(t.sealed)), micros(t.sealCost), thousands(int64(t.verified)), micros(t.verifyCost),
			thousands(int64(t.caught)), t.bytes, millis(t.prove), millis(t.again), millis(t.open), thousands(int64(t.bundle)), thousands(int64(t.row)))
	}
}

func (f *sealingFigures) writeLag(text *strings.Builder) {
	fmt.Fprintf(text, `
## Behind the writers

| | measured | p50, ms | p99, ms |
|---|---|---|---|
| sealed and exported, every %s, at %s records/s in batches of %d | %s batches | %.1f | %.1f |
| delivered to a follower, a look every %s, at %s records/s one by one | %s records | %.1f | %.1f |

The time begins with the answer to the commit. A look of a follower at a trail that stands still takes %.0f µs of the cores, its own and the server's. At one look a
second this is %.3f %% of a core.
`,
		sealInterval, thousands(sealedBatch*sealedBatches), sealedBatch, thousands(int64(f.lag.sealed.count)), millis(f.lag.sealed.p50), millis(f.lag.sealed.p99),
		followInterval, thousands(followedRate), thousands(int64(f.lag.followed.count)), millis(f.lag.followed.p50), millis(f.lag.followed.p99),
		micros(f.lag.look), f.lag.look.Seconds()*100)
}

func (f *sealingFigures) writeNeighbours(text *strings.Builder) {
	text.WriteString(`
## Next to the writers

The writers take as much of the machine as they get. The ratio compares their throughput with that of the same round next to nothing. Higher is better.

| work | next to | records/s | times alone | lowest to highest |
|---|---|---|---|---|
`)
	for _, w := range neighbourWorks() {
		base := find(f.neighbours, 0, w.name, alone)
		for i := range f.neighbours {
			r := &f.neighbours[i]
			if r.Work != w.name {
				continue
			}
			rate := thousands(int64(float64(r.RecordsPerCall) * 1e6 / r.costs().median))
			ratios := base.ratios(r)
			fmt.Fprintf(text, "| %s | %s | %s | **%.3f** | %.3f to %.3f |\n", w.name, r.Contender, rate, ratios.median, ratios.low, ratios.high)
		}
	}
}

const howToReadSealing = `
## How to read it

- Rates are those of one run over a table that was just filled. *Cores* is the time that all cores of the machine worked, the server's and the program's together.
- A proof is made by an open Prover, for ids that are spread over the whole table. The figure is the median. Each proof is verified. *The same again* has its tiles and rows in the server's cache.
- Each neighbour has a database of its own, so that it seals or follows only what was written next to it. They take turns.
- With more than one caller, the writers use both cores, so the work of a neighbour takes from them what it uses.
`

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
