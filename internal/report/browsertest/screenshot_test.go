package browsertest_test

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScreenshot makes the picture in docs/ if COORDAUDIT_SCREENSHOT names it.
// COORDAUDIT_SCREENSHOT_VIEW, such as 400-dark, asks for another view.
func TestScreenshot(t *testing.T) {
	t.Parallel()
	path := os.Getenv("COORDAUDIT_SCREENSHOT")
	if path == "" {
		t.Skip("COORDAUDIT_SCREENSHOT names no file")
	}
	v := view{1280, 900, "light", true}
	if asked := os.Getenv("COORDAUDIT_SCREENSHOT_VIEW"); asked != "" {
		if _, err := fmt.Sscanf(asked, "%d-%s", &v.width, &v.scheme); err != nil {
			t.Fatal(err)
		}
	}
	opened := open(t, reportFile(t, sample(), ""), v)
	picture, err := chromedp.Run(opened.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, smaller(t, picture), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tallest is how much of the page a picture shows: the head and the drawings.
const tallest = 3900

// smaller is the picture in 256 colours. The difference is hardly visible and the file is
// half as large. Of colours that are nearly the same it keeps the most frequent one,
// because letters have many at their edges.
func smaller(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[color.Color]int)
	bounds := full.Bounds()
	bounds.Max.Y = min(bounds.Max.Y, tallest)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[full.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var palette color.Palette
	taken := make(map[[3]uint32]bool)
	for _, one := range colours {
		r, g, b, _ := one.RGBA()
		near := [3]uint32{r >> 11, g >> 11, b >> 11}
		if !taken[near] && len(palette) < 256 {
			palette = append(palette, one)
			taken[near] = true
		}
	}
	few := image.NewPaletted(bounds, palette)
	draw.Draw(few, bounds, full, bounds.Min, draw.Src)
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, few); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
