"""The façade of exports: what a partition becomes for other programs. Each format is a module of `analysis`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, overload

from .arrays import ClassNames
from .facade import Facade

if TYPE_CHECKING:
    from splinecam_widget.analysis.shapes import Shapes
    from splinecam_widget.analysis.tables import Tables

Path = str | os.PathLike[str]


class Exports(Facade):
    """Methods of `Cells` that hand it to other programs; all work for partitions from files as well."""

    def save(self, path: Path) -> None:
        """Write the partition to a file: numpy's .npz, compressed, without pickle, to be read by `load_partition`.

        It carries cells, outputs at vertices, provenance of edges, slice, a digest of the network, versions, and a certificate,
        which is computed for it if the partition was not read from a file itself. The network is not stored.

        Parameters
        ----------
        path : str or path
            Taken as it is; a file of that name is replaced.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        from .storage import write

        write(path, self._cells)

    def _drawing(self, color_by: Any, class_names: ClassNames, level: float, layer: int | None) -> Any:
        from splinecam_widget.analysis.drawing import drawing_of

        return drawing_of(self._cells, color_by, class_names, level, layer)

    @overload
    def to_geojson(
        self, path: None = None, edges: bool = False, boundary: bool = True, level: float = 0.0) -> dict[str, Any]: ...

    @overload
    def to_geojson(self, path: Path, edges: bool = False, boundary: bool = True, level: float = 0.0) -> None: ...

    def to_geojson(
        self, path: Path | None = None, edges: bool = False, boundary: bool = True, level: float = 0.0
    ) -> dict[str, Any] | None:
        """Cells and decision boundary, and edges, as GeoJSON (RFC 7946), in slice coordinates to the last bit.

        Parameters
        ----------
        path : str or path or None
            Where to write it; None: return it.
        edges, boundary : bool
            Whether these are among the features. There are twice as many edges as cells.
        level : float
            Of the boundary and the classes, for one output.

        Returns
        -------
        dict, or None where it is written
            A FeatureCollection. Polygons, one a cell, have the properties `area`, `class` (that wins on the largest part),
            `region` and `slope_norm`; LineStrings of edges `layer`, `unit` (-1 on the domain's border), `left` and `right`
            (cells, -1 outside); LineStrings of the boundary, joined to lines, `classes` and `length`. `kind` is "cell", "edge"
            or "boundary", and the ids are "cell-0", "edge-0", "boundary-0", ... The member `record` says where it all comes
            from, see `Cells.record`.

        Raises
        ------
        OSError
            If it cannot be written.

        Notes
        -----
        The format means degrees on the Earth by coordinates; here they are input-space units. Programs that read GeoJSON
        show them all the same, without a map below.

        References
        ----------
        H. Butler et al. (2016), The GeoJSON Format, RFC 7946.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> found = p.to_geojson(boundary=False)
        >>> len(found["features"]), found["features"][0]["geometry"]["type"], found["features"][0]["properties"]["area"]
        (4, 'Polygon', 1.0)
        """
        from splinecam_widget.analysis.geojson import feature_collection, write

        if path is None:
            return feature_collection(self._cells, edges, boundary, level)
        write(path, self._cells, edges, boundary, level)
        return None

    def to_svg(
        self, path: Path | None = None, color_by: Any = "class", edges: bool = True, boundary: bool = True,
        anchors: bool = True, width: int = 800, class_names: ClassNames = None, level: float = 0.0, layer: int | None = None,
    ) -> str:
        """The picture as a standalone SVG, the second slice coordinate upwards.

        Parameters
        ----------
        path : str or path or None
            Where to write it.
        color_by : {"class", "margin", "pattern", "area", "slope", "output"} or (C,) numbers
        edges, boundary, anchors : bool
            What is drawn over the cells.
        width : int
            Pixels; the height follows. Coordinates are rounded to hundredths of a pixel; `to_geojson` has them in full.
        class_names : list of str, dict of them by number, or None
        level : float
            Of the boundary and the classes, for one output.
        layer : int or None
            The lines of this layer of kinks are strong, other edges faint; see `layer_lines`.

        Returns
        -------
        str
            Groups and paths have ids: `cells` with `cells-class-3` (or the colour), `edges` with `edges-layer-0`, `lines` of
            a chosen layer, `boundary` with `boundary-0-3` (the classes that tie; `boundary-level` for one output), `anchors`
            with `anchor-x1`. The element `metadata` holds the record as JSON, see `Cells.record`.

        Raises
        ------
        ValueError
            For a bad `color_by`, number of names, `width`, `level` or `layer`.
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> 'id="edges-layer-0"' in p.to_svg(width=200)
        True
        """
        from splinecam_widget.analysis import svg

        text = svg.svg_text(self._cells, self._drawing(color_by, class_names, level, layer), width, edges, boundary, anchors)
        if path is not None:
            svg.write(path, text)
        return text

    def to_png(
        self, path: Path | None = None, color_by: Any = "class", edges: bool = True, boundary: bool = True, width: int = 800,
        samples: int = 4, level: float = 0.0, layer: int | None = None,
    ) -> bytes:
        """The picture as a PNG, the second slice coordinate upwards, transparent outside the domain.

        Parameters
        ----------
        path : str or path or None
            Where to write it.
        color_by : {"class", "margin", "pattern", "area", "slope", "output"} or (C,) numbers
        edges, boundary : bool
            What is drawn over the cells.
        width : int
            Pixels; the height follows.
        samples : int
            A pixel is the mean of `samples` x `samples` finer ones, each with the colour of what its centre lies in. With 1
            it has the colour of what its own centre lies in: a raster of exact labels.
        level : float
            Of the boundary and the classes, for one output.
        layer : int or None
            The lines of this layer of kinks are strong, other edges faint; see `layer_lines`.

        Returns
        -------
        bytes
            The file. Its text chunk `record` holds the record as JSON, see `Cells.record`.

        Raises
        ------
        ValueError
            For a bad `color_by`, `width`, `samples`, `level` or `layer`.
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.to_png(width=100)[1:4]
        b'PNG'
        """
        from splinecam_widget.analysis import png

        content = png.png_bytes(self._cells, self._drawing(color_by, None, level, layer), width, edges, boundary, samples)
        if path is not None:
            png.write(path, content)
        return content

    def to_shapely(self, level: float = 0.0) -> Shapes:
        """Cells and decision boundary as geometries of Shapely, in slice coordinates.

        Parameters
        ----------
        level : float
            Of the boundary, for one output.

        Returns
        -------
        Shapes
            `cells`, a (C,) array of polygons, `boundary`, a MultiLineString, and the `record`, see `Cells.record`.

        Raises
        ------
        ImportError
            If shapely is not installed.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> shapes = p.to_shapely()
        >>> len(shapes.cells), shapes.cells[0].area
        (4, 1.0)
        """
        from splinecam_widget.analysis.shapes import shapes_of

        return shapes_of(self._cells, level)

    def to_pandas(self, level: float = 0.0) -> Tables:
        """Tables of cells and edges; `attrs["record"]` of each says where they come from, see `Cells.record`.

        Parameters
        ----------
        level : float
            Of the classes and distances to the boundary, for one output.

        Returns
        -------
        Tables
            `cells`: those of `Statistics.to_pandas`, and `class`. `edges`: the layer and unit that made each, the cells beside
            it, its ends and length.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> tables = p.to_pandas()
        >>> float(tables.cells["area"].sum()), len(tables.edges)
        (4.0, 12)
        """
        from splinecam_widget.analysis.tables import tables_of

        return tables_of(self._cells, level)

    def to_bokeh(
        self, color_by: Any = "class", edges: bool = True, boundary: bool = True, class_names: ClassNames = None,
        level: float = 0.0, layer: int | None = None, **options: Any,
    ) -> Any:
        """The picture as a Bokeh figure of stock glyphs, with what each cell is under the pointer.

        Parameters
        ----------
        color_by : {"class", "margin", "pattern", "area", "slope", "output"} or (C,) numbers
        edges, boundary : bool
            What is drawn over the cells.
        class_names : list of str, dict of them by number, or None
        level : float
            Of the boundary and the classes, for one output.
        layer : int or None
            The lines of this layer of kinks are strong, other edges faint; see `layer_lines`.
        **options
            Handed to `bokeh.plotting.figure`.

        Returns
        -------
        bokeh.plotting.figure
            Its renderers are called "cells", "edges", "boundary" and "anchors"; `tags` hold the record, see `Cells.record`.

        Notes
        -----
        Browsers draw a few ten thousand cells in this way; the widget draws more.

        Examples
        --------
        >>> import torch
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> [renderer.name for renderer in p.to_bokeh().renderers]
        ['cells', 'edges', 'boundary']
        """
        from splinecam_widget.analysis.glyphs import figure_of

        return figure_of(self._cells, self._drawing(color_by, class_names, level, layer), edges, boundary, options)

    def plot(
        self, ax: Any = None, color_by: Any = "class", edges: bool = True, boundary: bool = True, anchors: bool = True,
        legend: bool | None = None, title: str | None = None, class_names: ClassNames = None, level: float = 0.0,
        rasterized: bool = False, layer: int | None = None,
    ) -> Any:
        """The picture on axes of matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            None: of a new figure.
        color_by : {"class", "margin", "pattern", "area", "slope", "output"} or (C,) numbers
        edges, boundary, anchors : bool
            What is drawn over the cells.
        legend : bool or None
            Names of the classes that win somewhere, or a scale; None: where `class_names` are given, or colours mean numbers.
        title : str or None
        class_names : list of str, dict of them by number, or None
        level : float
            Of the boundary and the classes, for one output.
        rasterized : bool
            Cells and edges become an image inside PDF or SVG: smaller files with more than some ten thousand cells.
        layer : int or None
            The lines of this layer of kinks are strong, other edges faint; see `layer_lines`.

        Returns
        -------
        matplotlib.axes.Axes
            Its attribute `record` says where the picture comes from, see `Cells.record`;
            `ax.figure.savefig(path, metadata={"Keywords": json.dumps(ax.record)})` keeps it in a PDF.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `ax` is something else.
        ValueError
            For a bad `color_by`, number of names, `level` or `layer`.

        Examples
        --------
        >>> import matplotlib, torch
        >>> matplotlib.use("agg")
        >>> from splinecam_widget import Slice, compute_partition
        >>> p = compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2)))
        >>> p.plot(class_names=["left", "right"]).get_xlim()
        (-1.0, 1.0)
        """
        from splinecam_widget.analysis.figures import axes_of

        drawing = self._drawing(color_by, class_names, level, layer)
        return axes_of(
            self._cells, drawing, ax, edges, boundary, anchors, legend, title, rasterized, class_names is not None)
