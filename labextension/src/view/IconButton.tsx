import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

export interface IconButtonProps {
  readonly icon: LabIcon;
  readonly label: string;
  readonly onClick: (event: React.MouseEvent) => void;
  readonly disabled?: boolean;
  /** For a button that stays in or out. */
  readonly pressed?: boolean;
  readonly hasMenu?: boolean;
}

/** A small button that shows an icon and says what it does. */
export function IconButton(props: IconButtonProps): React.ReactElement {
  const { icon, label, onClick, disabled, pressed, hasMenu } = props;
  return (
    <button
      type="button"
      className="jx-IconButton"
      title={label}
      aria-label={label}
      aria-pressed={pressed}
      aria-haspopup={hasMenu ? 'menu' : undefined}
      disabled={disabled}
      onClick={onClick}
    >
      <icon.react tag="span" className="jx-Icon" aria-hidden />
    </button>
  );
}
