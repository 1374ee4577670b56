"""Small frozen graphs with the operations of the graph of 2015-12-05, written node by node."""

import numpy as np

SIZE, N_FEATURES, N_CLASSES = 39, 20, 7


class GraphBuilder:
    """A GraphDef under construction, as a TensorFlow of 2015 wrote it."""

    def __init__(self, tf, seed=0):
        self.tf = tf
        self.proto = tf.compat.v1.GraphDef()
        # From version 9 on TensorFlow refuses BatchNormWithGlobalNormalization.
        self.proto.versions.producer = 8
        self.generator = np.random.default_rng(seed)

    def serialised(self):
        return self.proto.SerializeToString()

    def node(self, op, name, *inputs, **attributes):
        """Add a node; attributes are types, booleans, numbers, bytes or lists of integers."""
        node = self.proto.node.add(name=name, op=op)
        node.input.extend(inputs)
        for key, value in attributes.items():
            if isinstance(value, self.tf.DType):
                node.attr[key].type = value.as_datatype_enum
            elif isinstance(value, bool):
                node.attr[key].b = value
            elif isinstance(value, float):
                node.attr[key].f = value
            elif isinstance(value, int):
                node.attr[key].i = value
            elif isinstance(value, bytes):
                node.attr[key].s = value
            else:
                node.attr[key].list.i.extend(value)
        return name

    def constant(self, name, value):
        value = value if isinstance(value, bytes) else np.asarray(value)
        tensor = self.tf.make_tensor_proto(value)
        node = self.proto.node.add(name=name, op="Const")
        node.attr["dtype"].type = tensor.dtype
        node.attr["value"].tensor.CopyFrom(tensor)
        return name

    def preprocessing(self, *, size=SIZE, **flags):
        """One image, a byte a channel, to a batch of one of pixels from -1 to 1."""
        tf = self.tf
        self.constant("DecodeJpeg/contents", b"")
        self.node("DecodeJpeg", "DecodeJpeg", "DecodeJpeg/contents", channels=3)
        self.node("Cast", "Cast", "DecodeJpeg", SrcT=tf.uint8, DstT=tf.float32)
        self.constant("ExpandDims/dim", np.int32(0))
        self.node("ExpandDims", "ExpandDims", "Cast", "ExpandDims/dim", T=tf.float32)
        self.constant("ResizeBilinear/size", np.int32([size, size]))
        self.node(
            "ResizeBilinear",
            "ResizeBilinear",
            "ExpandDims",
            "ResizeBilinear/size",
            T=tf.float32,
            **flags,
        )
        self.constant("Sub/y", np.float32(128))
        self.node("Sub", "Sub", "ResizeBilinear", "Sub/y", T=tf.float32)
        self.constant("Mul/y", np.float32(0.0078125))
        return self.node("Mul", "Mul", "Sub", "Mul/y", T=tf.float32)

    def checked(self, name, source):
        """A check that only a control edge leads to, as before each layer of 2015."""
        tf = self.tf
        self.node(
            "CheckNumerics", f"{name}/CheckNumerics", source, T=tf.float32, message=b"not finite"
        )
        return self.node(
            "Identity",
            f"{name}/control_dependency",
            source,
            f"^{name}/CheckNumerics",
            T=tf.float32,
        )

    def convolution(self, name, source, n_in, n_out, *, size=3, stride=1, padding=b"SAME", scale):
        """Convolution, the old normalisation, check, rectification."""
        tf, draw = self.tf, self.generator
        kernel = draw.normal(0, np.sqrt(2 / (size * size * n_in)), (size, size, n_in, n_out))
        self.constant(f"{name}/conv2d_params", kernel.astype(np.float32))
        self.node(
            "Conv2D",
            f"{name}/Conv2D",
            source,
            f"{name}/conv2d_params",
            T=tf.float32,
            strides=[1, stride, stride, 1],
            padding=padding,
        )
        parts = {
            "moving_mean": draw.normal(0, 0.3, n_out),
            "moving_variance": draw.uniform(0.3, 2, n_out),
            "beta": draw.normal(0.2, 0.3, n_out),
            "gamma": draw.uniform(0.5, 2, n_out),
        }
        norm = f"{name}/batchnorm"
        names = [
            self.constant(f"{norm}/{part}", value.astype(np.float32))
            for part, value in parts.items()
        ]
        self.node(
            "BatchNormWithGlobalNormalization",
            norm,
            f"{name}/Conv2D",
            *names,
            T=tf.float32,
            variance_epsilon=1e-3,
            scale_after_normalization=scale,
        )
        return self.node("Relu", name, self.checked(name, norm), T=tf.float32)

    def pool(self, op, name, source, *, size, stride, padding=b"VALID"):
        return self.node(
            op,
            name,
            source,
            T=self.tf.float32,
            ksize=[1, size, size, 1],
            strides=[1, stride, stride, 1],
            padding=padding,
        )


def inception(tf, *, scale=False, n_features=N_FEATURES, seed=0, **flags):
    """A network of three convolutions with every operation, and the names, of the original."""
    build = GraphBuilder(tf, seed)
    pixels = build.preprocessing(**flags)
    build.convolution("conv", pixels, 3, 8, stride=2, padding=b"VALID", scale=scale)
    build.pool("MaxPool", "pool", build.checked("pool", "conv"), size=3, stride=2)
    build.convolution("mixed/conv", "pool", 8, n_features - 16, size=1, scale=not scale)
    build.convolution("mixed/tower/conv", "pool", 8, 8, scale=scale)
    build.pool(
        "AvgPool", "mixed/tower_1/pool", "mixed/tower/conv", size=3, stride=1, padding=b"SAME"
    )
    build.pool("MaxPool", "mixed/tower_2/pool", "pool", size=3, stride=1, padding=b"SAME")
    build.constant("mixed/join/concat_dim", np.int32(3))
    build.node(
        "Concat",
        "mixed/join",
        "mixed/join/concat_dim",
        "mixed/conv",
        "mixed/tower_1/pool",
        "mixed/tower_2/pool",
        N=3,
        T=tf.float32,
    )
    build.pool("AvgPool", "pool_3", "mixed/join", size=9, stride=1)
    build.constant("pool_3/_reshape/shape", np.int32([1, n_features]))
    build.node("Reshape", "pool_3/_reshape", "pool_3", "pool_3/_reshape/shape", T=tf.float32)
    weights = build.generator.normal(0, 0.3, (n_features, N_CLASSES)).astype(np.float32)
    build.constant("softmax/weights", weights)
    build.constant("softmax/biases", np.arange(N_CLASSES, dtype=np.float32))
    build.node(
        "MatMul", "softmax/logits/MatMul", "pool_3/_reshape", "softmax/weights", T=tf.float32
    )
    build.node("BiasAdd", "softmax/logits", "softmax/logits/MatMul", "softmax/biases", T=tf.float32)
    build.node("Softmax", "softmax", "softmax/logits", T=tf.float32)
    return build
