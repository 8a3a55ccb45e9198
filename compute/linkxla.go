//go:build xla

package compute

import "regft/compute/xla"

func init() {
	linked["xla"] = link{open: xla.New, numerics: xla.Numerics, report: xla.Report}
}
