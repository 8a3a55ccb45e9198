package sd

import (
	"fmt"

	"regft/models/rng"
	"regft/models/schedulers"
)

// Noise says whose random numbers pictures are made of.
type Noise struct {
	Source  string // one of NoiseSources
	Batch   int    // torch_cuda: pictures that were drawn at once, 0 for 1
	Threads int    // torch_cuda: that the GPU runs at once
}

// The sources of noise.
const (
	TorchCPU  = "torch_cpu"  // picture i of torch.Generator("cpu") seeded Seed + i
	TorchCUDA = "torch_cuda" // one torch.Generator("cuda") seeded Seed for all pictures, drawn batch by batch
	Philox    = "philox"     // picture i of torch.Generator("cuda") seeded Seed + i, as webuis draw on any machine
)

// A generator gives normal numbers.
type generator interface{ Randn(dst []float32) }

// generator is the one of a picture whose latents have size values.
func (p *Pipeline) generator(s Settings, picture Picture, size int) (generator, error) {
	switch s.Noise.Source {
	case "", TorchCPU:
		return rng.New(s.Seed + uint64(picture.Index)), nil
	case Philox:
		return rng.NewPhilox(s.Seed + uint64(picture.Index)), nil
	case TorchCUDA:
		return p.batchNoise(s, picture.Index, size)
	}
	return nil, fmt.Errorf("no random numbers are called %q: want %s, %s or %s", s.Noise.Source, TorchCPU, TorchCUDA, Philox)
}

// batchNoise is picture i's part of what one CUDA generator gives for the batch that the picture is in. Before that come the
// calls of the batches before, each as many as the scheduler makes. The last batch counts as whole.
func (p *Pipeline) batchNoise(s Settings, i, size int) (generator, error) {
	batch := max(s.Noise.Batch, 1)
	calls, err := p.noiseCalls(s)
	if err != nil {
		return nil, err
	}
	return rng.NewPhilox(s.Seed).Part(batch*size, i%batch*size, s.Noise.Threads, uint64(i/batch*calls))
}

// noiseCalls counts how often a picture asks for noise, on a picture of one value.
func (p *Pipeline) noiseCalls(s Settings) (int, error) {
	scheduler, err := schedulers.FromConfig(p.scheduler, s.Scheduler, s.Steps)
	if err != nil {
		return 0, err
	}
	first, err := s.first()
	if err != nil {
		return 0, err
	}
	calls := 1
	if s.Strength > 0 {
		calls++ // of the VAE's distribution
		if err := scheduler.Start(first); err != nil {
			return 0, err
		}
	}
	x := []float32{1}
	for i := first; i < len(scheduler.Timesteps()); i++ {
		x = scheduler.Step([]float32{0}, i, x, func([]float32) { calls++ })
	}
	return calls, nil
}
