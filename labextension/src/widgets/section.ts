import {
  LabIcon,
  PanelWithToolbar,
  ToolbarButton
} from '@jupyterlab/ui-components';

import type { DeskWidget } from '../view/desk';

/** A button that does something each time; JupyterLab's own stays pressed until the next click. */
class ActionButton extends ToolbarButton {
  override get pressed(): boolean {
    return false;
  }

  override set pressed(_: boolean) {
    // It never is.
  }
}

/** A button in a section's title. */
export interface SectionButton {
  readonly icon: LabIcon;
  readonly tooltip: string;
  readonly onClick: () => void;
}

/** A part of a view with its title and its buttons. */
export function section(
  widget: DeskWidget,
  ...buttons: readonly SectionButton[]
): PanelWithToolbar {
  const panel = new PanelWithToolbar();
  panel.addClass('jx-Panel-section');
  panel.addWidget(widget);
  for (const [index, button] of buttons.entries()) {
    panel.toolbar.addItem(`button-${index}`, new ActionButton(button));
  }
  return panel;
}

/** A title with how many there are. */
export function titled(name: string, count: number | undefined): string {
  return count ? `${name} (${count})` : name;
}
