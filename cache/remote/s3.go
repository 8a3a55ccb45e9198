package remote

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"regft/cache"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// bucket is a Writer on S3-compatible storage.
type bucket struct {
	client       *s3.Client
	transport    *http.Transport
	name, prefix string
	partSize     int64 // of content that is written in parts
}

var _ Writer = (*bucket)(nil)

const (
	minPartSize   = 64 << 20
	maxParts      = 10_000 // that an object may have
	partsAtOnce   = 4
	defaultRegion = "us-east-1"
	abortTimeout  = 500 * time.Millisecond
)

// openS3 takes s3://BUCKET/PREFIX?endpoint=URL&region=REGION. What the address
// leaves out, and the credentials, come from where the AWS tools have them:
// AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_PROFILE, ~/.aws, the machine's role.
func openS3(ctx context.Context, u *url.URL) (Backend, error) {
	for key := range u.Query() {
		if key != "endpoint" && key != "region" {
			return nil, fmt.Errorf("%s= is none of the settings endpoint, region", key)
		}
	}
	if u.Host == "" || u.User != nil {
		return nil, errors.New("want s3://BUCKET/PREFIX; credentials are those of the AWS tools, such as AWS_ACCESS_KEY_ID")
	}
	web := awshttp.NewBuildableClient().WithTransportOptions(setTransport)
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(web),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }), // Retry does it
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired)) // digests are checked
	if err != nil {
		return nil, err
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE: %w", err)
	}
	if trusting, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		web = trusting // with AWS_CA_BUNDLE
	}
	transport := web.GetTransport()
	cfg.HTTPClient = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	cfg.Region = cmp.Or(u.Query().Get("region"), cfg.Region, defaultRegion)
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		if endpoint := u.Query().Get("endpoint"); endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
		o.UsePathStyle = o.BaseEndpoint != nil // others have no names of hosts for buckets
	})
	return &bucket{client, transport, u.Host, strings.Trim(u.Path, "/"), minPartSize}, nil
}

func (b *bucket) key(name string) *string { return aws.String(path.Join(b.prefix, name)) }

// Open implements Backend.
func (b *bucket) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, int64, error) {
	in := &s3.GetObjectInput{Bucket: &b.name, Key: b.key(name)}
	if offset > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	out, err := b.client.GetObject(ctx, in)
	if err != nil {
		return nil, 0, meaning(err)
	}
	return out.Body, offset + aws.ToInt64(out.ContentLength), nil
}

// Size implements Backend.
func (b *bucket) Size(ctx context.Context, name string) (int64, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: b.key(name)})
	if err != nil {
		return 0, meaning(err)
	}
	return aws.ToInt64(out.ContentLength), nil
}

// Create implements Writer.
func (b *bucket) Create(ctx context.Context, name string, c Content) error {
	return b.put(ctx, name, c, aws.String("*"))
}

// Replace implements Writer.
func (b *bucket) Replace(ctx context.Context, name string, c Content) error {
	return b.put(ctx, name, c, nil)
}

// notWritten is an error of writing as a Backend has it: nothing is absent then.
func notWritten(err error) error {
	status, told := answered(err)
	if status == http.StatusForbidden || status == http.StatusNotFound {
		return permanent(told)
	}
	return meaning(err)
}

// put writes an object; ifNoneMatch "*" leaves one that is there.
func (b *bucket) put(ctx context.Context, name string, c Content, ifNoneMatch *string) error {
	content, err := c.Open()
	if err != nil {
		return permanent(err)
	}
	defer content.Close()
	if c.Size > b.partSize {
		return b.putParts(ctx, name, c.Size, content, ifNoneMatch)
	}
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: b.key(name), Body: content, ContentLength: &c.Size,
		ChecksumSHA256: checksum(c.Digest), IfNoneMatch: ifNoneMatch})
	return notWritten(err)
}

// putParts writes a big object in parts, each signed with its SHA-256. The
// condition stands on the request that completes it: on the one that begins it,
// servers ignore it.
func (b *bucket) putParts(ctx context.Context, name string, size int64, content io.ReaderAt, ifNoneMatch *string) (err error) {
	begun, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &b.name, Key: b.key(name)})
	if err != nil {
		return notWritten(err)
	}
	defer func() {
		if err != nil { // what stays of it where this fails too is the server's to collect
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
			defer cancel()
			_, _ = b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: b.key(name), UploadId: begun.UploadId})
		}
	}()
	partSize := max(b.partSize, size/maxParts+1)
	parts := make([]types.CompletedPart, (size+partSize-1)/partSize)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for k := range parts {
		group.Go(func() error {
			at := int64(k) * partSize
			body := io.NewSectionReader(content, at, min(partSize, size-at))
			number := aws.Int32(int32(k + 1))
			return DefaultRetry.do(groupCtx, func(error) {}, func(ctx context.Context) error {
				out, err := b.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &b.name, Key: b.key(name), UploadId: begun.UploadId, PartNumber: number, Body: body})
				if err == nil {
					parts[k] = types.CompletedPart{ETag: out.ETag, PartNumber: number}
				}
				return notWritten(err)
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &b.name, Key: b.key(name), UploadId: begun.UploadId,
		IfNoneMatch: ifNoneMatch, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return notWritten(err)
}

// checksum is a digest as S3 has it.
func checksum(d cache.Digest) *string {
	_, digits, _ := strings.Cut(d.String(), ":")
	sum, _ := hex.DecodeString(digits) // of a digest, it never fails
	return aws.String(base64.StdEncoding.EncodeToString(sum))
}

// Codes of answers whose status alone does not say what they mean.
var (
	damagedOnTheWay = []string{"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody", "RequestTimeout"}
	notLetIn        = []string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "RequestTimeTooSkewed", "NoSuchBucket", "AllAccessDisabled"}
)

// meaning is an error of the client as a Backend has it.
func meaning(err error) error {
	status, told := answered(err)
	var api smithy.APIError
	switch {
	case status == 0:
		return told
	case errors.As(err, &api) && slices.Contains(damagedOnTheWay, api.ErrorCode()):
		return told
	case errors.As(err, &api) && slices.Contains(notLetIn, api.ErrorCode()):
		return permanent(told)
	}
	return statusError(status, told)
}

// answered is the status of the answer that err tells of, 0 where there was none,
// and what it says.
func answered(err error) (status int, told error) {
	answer, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || answer.HTTPStatusCode() == 0 {
		return 0, err
	}
	status = answer.HTTPStatusCode()
	var api smithy.APIError
	if !errors.As(err, &api) {
		return status, fmt.Errorf("the server answers %d %s", status, http.StatusText(status))
	}
	return status, fmt.Errorf("the server answers %d %s: %s", status, api.ErrorCode(), api.ErrorMessage())
}

// Close implements Backend.
func (b *bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}
