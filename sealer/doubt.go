package sealer

import "fmt"

// doubt is a tile that differs from its rows, and looks as if it is the tile that was changed.
// Someone who changes rows can make it look so. A signed root tells which it was.
type doubt struct {
	Tile   int64     `json:"tile"`
	Faults []Finding `json:"faults"` // of the rows, if it was them
	More   int64     `json:"more"`   // faults that are not kept
}

// doubt keeps as many faults as may be listed.
func (v *verifier) doubt(doubts []doubt) {
	for _, of := range doubts {
		if v.doubtful += len(of.Faults); v.doubtful > MaxFindings {
			of.More, of.Faults = int64(len(of.Faults)), nil
		}
		v.doubts = append(v.doubts, of)
	}
}

// judgeDoubts blames the tiles as far as their rows give a root that was signed, and else the rows.
func (v *verifier) judgeDoubts() {
	for _, of := range v.doubts {
		if (of.Tile+1)*tileWidth <= v.signed {
			v.result.Verified += int64(len(of.Faults)) + of.More
			v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("tile %d is not as it was written; its rows are as they were sealed", of.Tile)})
			continue
		}
		for _, fault := range of.Faults {
			v.find(fault)
		}
		v.result.MoreFindings += of.More
	}
}
