//go:build unix

package builtin_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"

	"regft/compute"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/stages"
)

// BenchmarkAlphas evaluates eleven alphas of a pair on JPEGs of 500×375. forwards is their cost over that of their
// forward passes alone, in seconds of CPU: other work on the machine does not count.
func BenchmarkAlphas(b *testing.B) {
	l := newLab(b)
	from := l.zeroshot(abs(b, "../../examples/shapes/checkpoints/clip-nano"), "cat", "dog")
	pictures := b.TempDir()
	for i := range 400 {
		write(b, jpegPicture(b, uint64(i)), pictures, []string{"cat", "dog"}[i%2], fmt.Sprintf("%04d.jpg", i))
	}
	data := l.dataset(pictures)
	to := only(l.run("finetune", "{epochs: 1, batch_size: 100, warmup_steps: 0, learning_rate: 1e-3}", given("classifier", from, "data", data)))
	var merged []stages.Artifact
	for i := range 11 {
		merged = append(merged, l.merge(float64(i)/10, from, to))
	}
	passes := forwardPasses(b, l, from, 400)
	before := cpuSeconds(b)
	for b.Loop() {
		l.shared = stages.NewShared(1 << 30)
		for _, m := range merged {
			l.run("evaluate", "", given("classifier", m, "data", data))
		}
	}
	b.ReportMetric((cpuSeconds(b)-before)/float64(b.N)/(11*passes), "forwards")
}

// forwardPasses is how long the image tower of a classifier takes for n pictures alone, in seconds of CPU.
func forwardPasses(b *testing.B, l *lab, a stages.Artifact, n int) float64 {
	b.Helper()
	files, err := checkpoint.DirFiles(published(b, a))
	if err != nil {
		b.Fatal(err)
	}
	backend, err := compute.New("")
	if err != nil {
		b.Fatal(err)
	}
	c, err := clip.Open(backend, files)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	tower, err1 := c.ImageTower()
	weights, err2 := tower.ToBackend(backend)
	encoder, err3 := c.Config.NewImageEncoder(backend, clip.Batch)
	if err := errors.Join(err1, err2, err3); err != nil {
		b.Fatal(err)
	}
	pixels := make([]float32, n*c.Config.Vision.Channels*c.Config.Vision.Image*c.Config.Vision.Image)
	const times = 5
	before := cpuSeconds(b)
	for range times {
		if _, err := encoder.Encode(l.ctx, weights, pixels); err != nil {
			b.Fatal(err)
		}
	}
	return (cpuSeconds(b) - before) / times
}

// cpuSeconds is what this process has used.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// jpegPicture is a JPEG of 500×375, smooth with some noise.
func jpegPicture(b *testing.B, key uint64) string {
	b.Helper()
	r := rand.New(rand.NewPCG(key, 2))
	im := image.NewNRGBA(image.Rect(0, 0, 500, 375))
	for i := range im.Pix {
		im.Pix[i] = uint8(100 + 60*math.Sin(float64(i)/float64(3000+100*key)) + 20*r.Float64())
	}
	var content bytes.Buffer
	if err := jpeg.Encode(&content, im, nil); err != nil {
		b.Fatal(err)
	}
	return content.String()
}
