package kernels

// An Activation is applied to a result before it leaves the cache.
type Activation uint8

// The activations: none, or the element-wise function of the same name.
const (
	NoActivation Activation = iota
	ReluActivation
	GeluActivation
	GeluTanhActivation
	QuickGeluActivation
	SiluActivation
)

var activationOps = [...]UnaryOp{
	ReluActivation: Relu, GeluActivation: Gelu, GeluTanhActivation: GeluTanh,
	QuickGeluActivation: QuickGelu, SiluActivation: Silu,
}

// An Epilogue is what follows a product or a convolution: act(x + bias) + residual. Its zero value does nothing.
type Epilogue struct {
	Bias       []float32 // one per column (output channel), or nil
	Activation Activation
	Residual   View // of the shape of the result, columns contiguous; Data nil for none. Not the memory of the result
}

// apply applies e to the block of c at (i0, j0).
func (e *Epilogue) apply(set *instructionSet, c View, batch, i0, rows, j0, cols int) {
	if e.Bias == nil && e.Activation == NoActivation && e.Residual.Data == nil {
		return
	}
	for i := i0; i < i0+rows; i++ {
		row := c.at(batch, i, j0)[:cols]
		if e.Bias != nil {
			set.binary[Add](row, row, e.Bias[j0:][:cols])
		}
		if e.Activation != NoActivation {
			set.unary[activationOps[e.Activation]](row, row)
		}
		if e.Residual.Data != nil {
			set.binary[Add](row, row, e.Residual.at(batch, i, j0)[:cols])
		}
	}
}
