package schedulers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// training is what every class knows of how the model was trained, and of where inference calls it.
type training struct {
	NumTrainTimesteps int        `json:"num_train_timesteps"`
	BetaStart         float64    `json:"beta_start"`
	BetaEnd           float64    `json:"beta_end"`
	BetaSchedule      string     `json:"beta_schedule"`
	TrainedBetas      []float64  `json:"trained_betas"`
	PredictionType    prediction `json:"prediction_type"`
	TimestepSpacing   string     `json:"timestep_spacing"`
	StepsOffset       int        `json:"steps_offset"`
}

// trainingDefaults are those of diffusers; only the spacing and LCM's betas differ between classes.
func trainingDefaults(spacing string) training {
	return training{
		NumTrainTimesteps: 1000,
		BetaStart:         0.0001,
		BetaEnd:           0.02,
		BetaSchedule:      "linear",
		PredictionType:    epsilonPrediction,
		TimestepSpacing:   spacing,
	}
}

// maxTrainTimesteps bounds what a damaged file can make us allocate; published models have 1000.
const maxTrainTimesteps = 1_000_000

func (c training) validate(predictions ...prediction) error {
	if c.NumTrainTimesteps < 2 || c.NumTrainTimesteps > maxTrainTimesteps {
		return fmt.Errorf("num_train_timesteps %d is not between 2 and %d", c.NumTrainTimesteps, maxTrainTimesteps)
	}
	if c.TrainedBetas != nil && len(c.TrainedBetas) < 2 {
		return fmt.Errorf("trained_betas has %d values, want at least 2", len(c.TrainedBetas))
	}
	return errors.Join(
		oneOf("prediction_type", c.PredictionType, predictions...),
		oneOf("timestep_spacing", c.TimestepSpacing, "linspace", "leading", "trailing"),
	)
}

// oneOf returns an error that lists the values allowed for a key, unless value is one of them.
func oneOf[T ~string](key string, value T, allowed ...T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	return fmt.Errorf("%s %q is not implemented: want %s", key, value, strings.Join(words, ", "))
}

// atMostTrained refuses more steps than the model was trained on, where diffusers does.
func (c training) atMostTrained(steps int) error {
	if steps > c.NumTrainTimesteps {
		return fmt.Errorf("more steps than num_train_timesteps %d", c.NumTrainTimesteps)
	}
	return nil
}

// read decodes the keys that config has fields for; others, of other classes, are ignored.
func read(text []byte, config any) error {
	if err := json.Unmarshal(text, config); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return fmt.Errorf("%s is a %s, want %s", wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:], wrong.Value, wrong.Type)
		}
		return err
	}
	return nil
}

var stringOrNonFinite = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?Infinity|NaN`)

// quoteNonFinite makes JSON of what Python's json writes for numbers that JSON does not have: DPM-Solver's
// lambda_min_clipped is -Infinity in published files. See number.
func quoteNonFinite(text []byte) []byte {
	return stringOrNonFinite.ReplaceAllFunc(text, func(token []byte) []byte {
		if token[0] == '"' {
			return token
		}
		return slices.Concat([]byte{'"'}, token, []byte{'"'})
	})
}

// number is a float64 that may be infinite in JSON, as text.
type number float64

// UnmarshalJSON accepts a number, "Infinity" and "-Infinity".
func (n *number) UnmarshalJSON(text []byte) error {
	switch {
	case bytes.Equal(text, []byte(`"-Infinity"`)):
		*n = number(math.Inf(-1))
	case bytes.Equal(text, []byte(`"Infinity"`)):
		*n = number(math.Inf(1))
	default:
		return json.Unmarshal(text, (*float64)(n))
	}
	return nil
}
